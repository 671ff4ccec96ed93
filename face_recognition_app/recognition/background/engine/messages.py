"""What a job and the engine's process say to each other, over a socket that only their user can open."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gallery.people import Sample
from vocabulary.faces import FaceChoice


class EngineLost(Exception):
    """The process with the engine has ended, or does not answer."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`key`: comes back with the answer. `model_id`: of the embedder. `choice`: of faces, None for as the service is
    configured. `keep`: whether the crop is wanted, too."""

    key: int
    data: bytes
    model_id: str
    choice: FaceChoice | None
    keep: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The sample from a picture, or the code and the words of why there is none."""

    key: int
    sample: Sample | None
    code: str = ""
    words: str = ""


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of the socket at `path` that is short enough for the kernel, however deep the directory lies."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in place of what another process has left there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with short_path(path) as address:
            listener.bind(address)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(1)
    return listener


def connect(path: Path) -> Connection | None:
    """None when nobody listens."""
    client = socket.socket(socket.AF_UNIX)
    try:
        with short_path(path) as address:
            client.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        client.close()
        return None
    return Connection(client.detach())
