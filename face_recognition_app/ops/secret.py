"""Files that only this service may read, made once however many processes ask."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from ops.settings import Settings


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; when it is not there it is written, mode 600, and the first writer wins."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    return path.read_bytes()


def secret_key(settings: Settings) -> str:
    """FACE_SECRET_KEY, or in development one of this installation's own."""
    if settings.secret_key:
        return settings.secret_key
    return read_or_make(settings.data_dir / "keys" / "secret-key", lambda: secrets.token_urlsafe(48).encode()).decode()
