"""Putting a backup back."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

from backup import databases, files
from backup.archive import Archive, Manifest, opened
from backup.errors import NotRestored
from backup.taking import Contents, OnBytes, check, opened_file, record_for_all, secret_key_id
from config.processes.locks import exclusive
from config.settings import Settings
from vocabulary.audit import AuditKind


def restore(settings: Settings, source: Path, key: bytes | str, on_bytes: OnBytes, *, force: bool) -> Contents:
    """Replace database, keys and reports by those of the backup, and bring the database up to this release.

    Nothing is changed before the whole backup was read. Raises UnreadableFile; NotRestored where something is there
    already, unless `force`, or where processes of the service are running, or where the backup does not fit.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(settings.run_dir / "prepare.lock"):
        database = databases.in_use()
        _refuse_where_something_is(database, force)
        contents = check(source, key, lambda count: on_bytes(0))
        _refuse_what_does_not_fit(database, contents.manifest)
        with opened_file(source) as file, opened(file, key) as archive:
            _load(settings, database, archive, on_bytes, force)
        call_command("migrate", verbosity=0, interactive=False)
        record_for_all(AuditKind.RESTORED, {"as_of": contents.manifest.made_at.isoformat()})
    return contents


def _load(settings: Settings, database: databases.Database, archive: Archive, on_bytes: OnBytes, force: bool) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-")))
        loader = stack.enter_context(database.loading(archive.manifest, folder))
        for member in archive.members:
            if member.name.startswith(files.PREFIX):
                files.stage(member, folder / "files")
            else:
                loader.take(member)
            on_bytes(member.size)
        loader.finish()
        _refuse_another_secret_key(settings, archive.manifest, folder / "files", force)
        # The database comes last: when this breaks off before, the next try finds as little there as this one.
        files.put_in_place(folder / "files", settings.data_dir)


def _refuse_where_something_is(database: databases.Database, force: bool) -> None:
    if database.is_in_use():
        raise NotRestored("other processes are connected to the database: stop the service, its job workers and others")
    if not force and database.has_tenants():
        raise NotRestored(
            "this installation has tenants already: restore into an empty one, or replace it with --force"
        )


def _refuse_what_does_not_fit(database: databases.Database, manifest: Manifest) -> None:
    if manifest.database != database.kind:
        raise NotRestored(
            f"the backup is of {manifest.database}, and DATABASE_URL names {database.kind}: restore into the same kind"
        )
    known = MigrationLoader(None).disk_migrations
    unknown = sorted(f"{app}.{name}" for app, name in manifest.migrations if (app, name) not in known)
    if unknown:
        raise NotRestored(
            f"the backup is of a newer release ({manifest.release}), whose migration {unknown[0]} this one does not "
            "know: update the service first"
        )


def _refuse_another_secret_key(settings: Settings, manifest: Manifest, folder: Path, force: bool) -> None:
    stored = folder / "keys" / "secret-key"
    then = settings.secret_key or (stored.read_text() if stored.exists() else "")
    if not force and secret_key_id(then) != manifest.secret_key_id:
        raise NotRestored(
            "FACE_SECRET_KEY is not the one that the service had when the backup was made: without it webhooks, and "
            "templates without a master key of their own, cannot be read; set it, or go on without with --force"
        )
