"""Pictures in a zip file, which is never unpacked: each is read into memory, within its limit."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from recognition.background.imports.people import Person, SubjectFrom, Unreadable, is_picture, people_of
from recognition.background.imports.places import BadSource, ImportFolder, content_of
from vocabulary.errors import ErrorCode

MAX_ENTRIES = 200_000
MAX_DIRECTORY_BYTES = 64 * 2**20
"""Of the list of entries, which is read into memory as a whole."""
MAX_RATIO = 100
"""How many times larger an entry may be than what it is compressed to. Pictures are compressed already."""
SMALL = 64 * 2**10
"""An entry up to this size may have any ratio."""
_END = b"PK\5\6"
_END_64 = b"PK\6\7"
_COMMENT = 2**16


class Archive:
    """Not for several threads."""

    def __init__(self, root: ImportFolder, file: Path, rule: SubjectFrom) -> None:
        """Raises BadSource for what is no zip file, and for one that is made to exhaust who reads it."""
        try:
            self._file = root.open(file)
        except Unreadable as error:
            raise BadSource(f"the zip file cannot be read: {error.words}") from error
        try:
            if _directory_bytes(self._file) > MAX_DIRECTORY_BYTES:
                raise BadSource(f"the zip file lists more than {MAX_DIRECTORY_BYTES} bytes of names")
            self._zip = zipfile.ZipFile(self._file)
            self._entries = self._checked(file.stat().st_size)
        except BadSource:
            self._file.close()
            raise
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, OverflowError, struct.error) as error:
            self._file.close()
            raise BadSource("the zip file is damaged, or of a kind that is not read") from error
        self.people: Sequence[Person] = people_of(self._entries, rule)

    def read(self, name: str, most: int) -> bytes:
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise Unreadable(ErrorCode.INVALID_IMAGE, "the entry is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Of other methods a few bytes may unpack to all memory before they are counted.
            raise Unreadable(ErrorCode.UNSUPPORTED_FORMAT, "the entry is neither stored nor deflated")
        if entry.file_size > most:
            raise Unreadable(ErrorCode.IMAGE_TOO_LARGE, f"the picture has more than {most} bytes")
        if entry.file_size > max(SMALL, MAX_RATIO * entry.compress_size):
            raise Unreadable(ErrorCode.IMAGE_TOO_COMPLEX, f"the entry unpacks to more than {MAX_RATIO} times its size")
        try:
            with self._zip.open(entry) as content:
                return content_of(content, min(most, entry.file_size))  # type: ignore[arg-type]  # reads as a file does
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError) as error:
            raise Unreadable(ErrorCode.INVALID_IMAGE, "the entry does not unpack") from error

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def _checked(self, size: int) -> dict[str, zipfile.ZipInfo]:
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise BadSource(f"the zip file has more than {MAX_ENTRIES} entries: import it in parts")
        if sum(entry.compress_size for entry in entries) > size:
            raise BadSource("entries of the zip file share their bytes, as those of no ordinary one do")
        pictures: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if not entry.is_dir() and is_picture(PurePosixPath(entry.filename)):
                if entry.filename in pictures:
                    raise BadSource("the zip file has two entries of one name")
                pictures[entry.filename] = entry
        return pictures


def _directory_bytes(file: BinaryIO) -> int:
    """Size of the list of entries, as the end of the file says. Raises BadSource when there is no such end."""
    size = file.seek(0, 2)
    tail_at = max(0, size - _COMMENT - 22 - 20)
    file.seek(tail_at)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < 22:
        raise BadSource("this is no zip file")
    (stated,) = struct.unpack_from("<I", tail, end + 12)
    locator = tail.find(_END_64, max(0, end - 20), end)
    if locator < 0:
        return int(stated)
    (at,) = struct.unpack_from("<Q", tail, locator + 8)
    file.seek(at)
    (large,) = struct.unpack_from("<Q", file.read(56), 40)
    return int(large)
