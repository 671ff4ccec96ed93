"""Making a backup, and checking one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audit.chain import Detail, Event, NoChain, record
from backup import databases, files
from backup.archive import ArchiveWriter, Manifest, Member, opened
from backup.errors import BackupError, UnreadableFile
from config.secret import secret_key
from config.settings import Settings
from database import clock
from gallery.protection.master_keys import derive
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.version import VERSION

OnBytes = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup was found to have."""

    manifest: Manifest
    database_bytes: int
    files: int


def secret_key_id(secret: str) -> str:
    return derive(secret.encode(), "id of the secret key of a backup", 8).hex()


def file_in(place: Path) -> Path:
    """The backup's file: a new name where `place` is a directory."""
    return place / f"face-{clock.now():%Y%m%dT%H%M%SZ}.backup" if place.is_dir() else place


def take(settings: Settings, target: Path, key: bytes | str, on_bytes: OnBytes) -> None:
    """Write a backup of the running service to `target`, which appears when it is complete.

    `on_bytes` is told of bytes that were written. Raises BackupError when the file is there already, and OSError.
    """
    if target.exists():
        raise BackupError(f"{target} is there already: choose another name")
    record_for_all(AuditKind.BACKED_UP, {})
    with _written(target) as file:
        archive = ArchiveWriter(file, key)
        with databases.in_use().snapshot(settings.data_dir) as snapshot:
            archive.begin(_manifest(settings, snapshot))
            for member in _all_of(snapshot, settings.data_dir):
                archive.add(member)
                on_bytes(member.size)
        archive.finish()


def record_for_all(kind: AuditKind, details: dict[str, Detail]) -> None:
    """Record in every tenant's trail. A tenant whose trail lacks its head is left to `manage.py verify_audit`."""
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        with suppress(NoChain):
            record(tenant_id, Event(kind, None, details))


def check(source: Path, key: bytes | str, on_bytes: OnBytes) -> Contents:
    """Read a backup to its authentic end. Raises UnreadableFile."""
    database_bytes = number = 0
    with opened_file(source) as file, opened(file, key) as archive:
        for member in archive.members:
            while part := member.content.read(1 << 20):
                on_bytes(len(part))
            if member.name.startswith(databases.PREFIX):
                database_bytes += member.size
            else:
                number += 1
    return Contents(archive.manifest, database_bytes, number)


@contextmanager
def opened_file(source: Path) -> Iterator[BinaryIO]:
    """Raises UnreadableFile for a file that cannot be opened."""
    try:
        file = source.open("rb")
    except OSError as error:
        raise UnreadableFile(f"{source} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _all_of(snapshot: databases.Snapshot, data_dir: Path) -> Iterator[Member]:
    yield from snapshot.members()
    yield from files.members(data_dir)


def _manifest(settings: Settings, snapshot: databases.Snapshot) -> Manifest:
    return Manifest(
        release=VERSION,
        made_at=clock.now(),
        database=databases.in_use().kind,
        migrations=snapshot.migrations,
        secret_key_id=secret_key_id(secret_key(settings)),
        tables=snapshot.tables,
    )


@contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """A new file, mode 600, under another name until the block has ended."""
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
