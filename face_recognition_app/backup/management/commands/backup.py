"""manage.py backup FILE|DIRECTORY [--verify] [--passphrase]"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backup import taking
from backup.errors import BackupError
from backup.keys import given_key
from backup.management.bars import bytes_bar
from config.service import service_settings


class Command(BaseCommand):
    help = (
        "Writes everything that cannot be made anew into one encrypted file, while the service runs: the database, the "
        "keys and reports of the data directory. Reads the file to its end afterwards."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "place", metavar="FILE|DIRECTORY", type=Path, help="the new file, or where it is to be made"
        )
        parser.add_argument(
            "--verify", action="store_true", help="make none, and read the one that is there to its end"
        )
        parser.add_argument(
            "--passphrase", action="store_true", help="ask for a passphrase in place of FACE_BACKUP_KEY or its file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        settings, is_new = service_settings(), not options["verify"]
        try:
            key = given_key(settings, passphrase=options["passphrase"], is_new=is_new)
            place = taking.file_in(options["place"]) if is_new else options["place"]
            if is_new:
                with bytes_bar("backup") as on_bytes:
                    taking.take(settings, place, key, on_bytes)
            with bytes_bar("verify") as on_bytes:
                found = taking.check(place, key, on_bytes)
        except (BackupError, OSError, sqlite3.Error, DatabaseError) as error:
            raise CommandError(str(error)) from error
        manifest = found.manifest
        self.stdout.write(
            f"{place}: {manifest.database} of release {manifest.release} as of {manifest.made_at:%Y-%m-%dT%H:%M:%SZ}, "
            f"{found.database_bytes / 1e6:.1f} MB of rows and {found.files} files; whole and readable"
        )
