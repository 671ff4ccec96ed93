"""manage.py retention [--json]"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.service import service_settings
from recognition.deciding import Deciding
from recognition.retention.once import apply_once


class Command(BaseCommand):
    help = "Ends sessions that are over their time limit, and deletes what is older than the settings allow, once."
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print {expired, applied}")

    def handle(self, *args: Any, **options: Any) -> None:
        done = apply_once(Deciding.load(service_settings()))
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
        elif done.applied is not None:
            self.stdout.write(f"{done.expired} sessions have expired; {done.applied} rows were deleted or emptied")
        if done.applied is None:
            raise CommandError(f"{done.expired} sessions have expired; another process is deleting what is old")
