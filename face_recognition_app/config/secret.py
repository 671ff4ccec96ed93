"""Secret files, mode 600, written atomically and made once however many processes ask."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from config.settings import Settings

_SECRET_VARIABLES = frozenset(
    {"FACE_SECRET_KEY", "FACE_TEMPLATE_KEY", "FACE_BACKUP_KEY", "DATABASE_URL", "DATABASE_REPLICA_URL", "REDIS_URL"}
)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for another program, without the service's own secrets."""
    return {name: value for name, value in environ.items() if name not in _SECRET_VARIABLES}


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`. A missing file is made, mode 600; of several writers the first wins."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _written_beside(path, make) as temporary, contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    return path.read_bytes()


def replace(path: Path, content: bytes) -> None:
    """Write `path` atomically, mode 600: a reader, also after a power cut, finds the old content or the new one."""
    with _written_beside(path, lambda: content) as temporary:
        temporary.replace(path)


def secret_key(settings: Settings) -> str:
    """FACE_SECRET_KEY, or in development a key of this installation's own, made once."""
    if settings.secret_key:
        return settings.secret_key
    return read_or_make(settings.data_dir / "keys" / "secret-key", lambda: secrets.token_urlsafe(48).encode()).decode()


@contextlib.contextmanager
def _written_beside(path: Path, make: Callable[[], bytes]) -> Iterator[Path]:
    """Temporary file with the content, mode 600, in the directory of `path`; removed after the block if still there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
