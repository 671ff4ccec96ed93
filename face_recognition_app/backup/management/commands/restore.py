"""manage.py restore FILE [--force] [--passphrase]"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backup.errors import BackupError
from backup.keys import given_key
from backup.management.bars import bytes_bar
from backup.restoring import restore
from config.service import service_settings


class Command(BaseCommand):
    help = (
        "Puts a backup back where nothing is yet and no process of the service runs: database, keys and reports. Reads "
        "the whole file before it changes anything."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="what manage.py backup has made")
        parser.add_argument("--force", action="store_true", help="replace what is there, which is lost")
        parser.add_argument(
            "--passphrase", action="store_true", help="ask for the passphrase in place of FACE_BACKUP_KEY or its file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        settings = service_settings()
        try:
            key = given_key(settings, passphrase=options["passphrase"], is_new=False)
            with bytes_bar("restore") as on_bytes:
                found = restore(settings, options["file"], key, on_bytes, force=options["force"])
        except (BackupError, OSError, sqlite3.Error, DatabaseError) as error:
            raise CommandError(str(error)) from error
        at = f"{found.manifest.made_at:%Y-%m-%dT%H:%M:%SZ}"
        self.stdout.write(f"restored as of {at}; erase again whom you have erased since, then start the service")
