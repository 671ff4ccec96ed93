"""The folder that a tenant's imports are read from. Nothing outside of it is opened, whatever a name or a link says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from config.settings import Settings
from recognition.background.imports.people import Unreadable
from tenants.models import Tenant
from vocabulary.errors import ErrorCode

MAX_FILES = 500_000


class BadSource(Exception):
    """What is to be imported is not there, or cannot be used. The message is for whoever asked for the import."""


def check_relative(name: str) -> PurePosixPath:
    """Raises ValueError for a path that is none below a folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError("a path below the tenant's import folder: not absolute, and without ..")
    return path


class ImportFolder:
    """`path`: the tenant's folder, without links."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, settings: Settings, tenant: Tenant) -> ImportFolder:
        """Raises BadSource when the tenant has no folder, or a link in its place."""
        path = settings.import_dir.resolve() / tenant.name
        if path.is_symlink() or not path.is_dir():
            raise BadSource(f"the tenant has no import folder: the operator makes {tenant.name} in FACE_IMPORT_DIR")
        return cls(path)

    def place(self, name: PurePosixPath) -> Path:
        """The file or folder that is to be imported. Raises BadSource."""
        try:
            found = (self.path / name).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise BadSource(f"{name} is not in the tenant's import folder") from error
        if not found.is_relative_to(self.path) or found == self.path:
            raise BadSource(f"{name} leads out of the tenant's import folder")
        return found

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading. Raises Unreadable, also for a link that leads out of the folder."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (OSError, ValueError) as error:
            raise Unreadable(ErrorCode.NOT_FOUND, "there is no such file, or it may not be read") from error
        file = os.fdopen(descriptor, "rb")
        # Asked of the open file: a link that is changed meanwhile changes nothing of it.
        inside = Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(self.path)
        if not inside or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise Unreadable(ErrorCode.FORBIDDEN, "it lies outside of the tenant's import folder, or is no file")
        return file

    def read(self, path: Path, most: int) -> bytes:
        """The content, of which there may be no more than `most` bytes. Raises Unreadable."""
        with self.open(path) as file:
            return content_of(file, most)

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file below a folder, without following links to folders. Raises BadSource for too many."""
        number = 0
        for directory, _, names in os.walk(folder):
            for name in names:
                number += 1
                if number > MAX_FILES:
                    raise BadSource(f"the folder has more than {MAX_FILES} files: import it in parts")
                yield Path(directory, name)


def content_of(file: BinaryIO, most: int) -> bytes:
    """Raises Unreadable for more than `most` bytes."""
    try:
        data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(ErrorCode.INVALID_IMAGE, "the file cannot be read") from error
    if len(data) > most:
        raise Unreadable(ErrorCode.IMAGE_TOO_LARGE, f"the picture has more than {most} bytes")
    return data
