"""What is in a backup: a tar, encrypted as a stream. The manifest is first, then the database, then files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backup.errors import UnreadableFile
from backup.sealed_stream import SealedReader, SealedWriter

MANIFEST = "manifest.json"

Kind = Literal["sqlite", "postgresql"]


class Table(BaseModel):
    """A table of PostgreSQL whose rows are in the backup, with the order of its columns there."""

    model_config = ConfigDict(frozen=True)

    name: str
    columns: tuple[str, ...]


class Manifest(BaseModel):
    """`migrations`: app and name of those that the database has. `secret_key_id`: tells FACE_SECRET_KEY from others."""

    model_config = ConfigDict(frozen=True)

    release: str
    made_at: datetime
    database: Kind
    migrations: tuple[tuple[str, str], ...]
    secret_key_id: str
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One part of the content. `content` is to be read before the next member is asked for."""

    name: str
    size: int
    content: BinaryIO

    @classmethod
    def of(cls, name: str, data: bytes) -> Member:
        return cls(name, len(data), io.BytesIO(data))


class ArchiveWriter:
    def __init__(self, file: BinaryIO, key: bytes | str) -> None:
        self._sealed = SealedWriter(file, key)
        self._tar = tarfile.open(fileobj=self._sealed, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def begin(self, manifest: Manifest) -> None:
        self.add(Member.of(MANIFEST, manifest.model_dump_json().encode()))

    def add(self, member: Member) -> None:
        entry = tarfile.TarInfo(member.name)
        entry.size = member.size
        self._tar.addfile(entry, member.content)

    def finish(self) -> None:
        """Write the end, without which the file is no backup."""
        self._tar.close()
        self._sealed.finish()


@dataclass(frozen=True, slots=True)
class Archive:
    manifest: Manifest
    members: Iterator[Member]
    """To be taken to the end: only then is it known that the backup is whole."""


@contextmanager
def opened(file: BinaryIO, key: bytes | str) -> Iterator[Archive]:
    """The content of a backup. Raises UnreadableFile, also while members are taken."""
    sealed = SealedReader(file, key)
    try:
        with tarfile.open(fileobj=sealed, mode="r|") as tar:
            members = _members(tar, sealed)
            first = next(members, None)
            if first is None or first.name != MANIFEST:
                raise UnreadableFile("the backup has no manifest: it is of another version of the service")
            yield Archive(Manifest.model_validate_json(first.content.read()), members)
    except (tarfile.TarError, ValidationError) as error:
        raise UnreadableFile(f"the backup is of another version of the service: {error}") from error


def _members(tar: tarfile.TarFile, sealed: SealedReader) -> Iterator[Member]:
    for entry in tar:
        content = tar.extractfile(entry)
        if content is None:
            raise UnreadableFile(f"the backup has a member that is no file: {entry.name}")
        yield Member(entry.name, entry.size, content)  # type: ignore[arg-type]  # it reads as a BinaryIO does
    while sealed.read(1 << 20):
        pass  # Behind the archive's own end, up to the one that is authentic.
