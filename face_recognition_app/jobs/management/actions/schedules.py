"""manage.py jobs schedules: periodic jobs, and when they come."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.job_settings import JobSettings
from database import clock
from jobs.management.actions.words import at, duration, span, table
from jobs.models import Schedule

LEAST_S = 1.0


def add(actions: Any) -> None:
    parser = actions.add_parser("schedules", help="periodic jobs, and when they come")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(act=list_)
    changes = parser.add_subparsers(dest="change", metavar="set")
    setting = changes.add_parser("set", help="change one")
    setting.add_argument("name", help="as the list tells it")
    setting.add_argument("--every", type=duration, metavar="TIME", help="for example 30m or 1d")
    setting.add_argument("--next", type=_time, metavar="TIME", help="now, or for example 2030-01-31T03:00Z")
    setting.set_defaults(act=change)


def _time(text: str) -> datetime:
    if text == "now":
        return clock.now()
    try:
        found = datetime.fromisoformat(text)
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: say now, or a time such as 2030-01-31T03:00Z") from error


def list_(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    now, rows = clock.now(), list(Schedule.objects.order_by("name"))
    if options["json"]:
        told = [
            {"name": row.name, "type": row.type, "every_s": row.every_s, "next_due": row.next_due.isoformat()}
            for row in rows
        ]
        command.stdout.write(json.dumps(told))
        return
    cells = [
        [row.name, row.type, span(row.every_s), at(row.next_due), span((row.next_due - now).total_seconds())]
        for row in rows
    ]
    command.stdout.write("\n".join(table(["NAME", "TYPE", "EVERY", "NEXT", "IN"], cells)))


def change(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    changes: dict[str, Any] = {}
    if options["every"] is not None:
        changes["every_s"] = options["every"].total_seconds()
        if changes["every_s"] < LEAST_S:
            raise CommandError(f"--every: {LEAST_S:.0f} s at least")
    if options["next"] is not None:
        changes["next_due"] = options["next"]
    if not changes:
        raise CommandError("say --every, --next, or both")
    if not Schedule.objects.filter(name=options["name"]).update(**changes):
        known = ", ".join(Schedule.objects.order_by("name").values_list("name", flat=True))
        raise CommandError(f"there is no schedule {options['name']}; there are: {known or 'none'}")
    row = Schedule.objects.get(name=options["name"])
    command.stdout.write(f"{row.name}: {row.type} every {span(row.every_s)}, next at {at(row.next_due)}")
