"""manage.py outcomes --tenant NAME [--days N] [--json]"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from database import clock
from database.replica import read_stale
from recognition.outcomes.models import OutcomeSummary
from tenants.names import TenantNotFound, find_tenant

DAYS = 14
_HEAD = (
    f"{'day':10}  {'sessions':>8}  {'succeeded':>9}  {'attempts':>8}  {'enrolments':>10}  {'locks':>5}  "
    f"{'median':>7}  {'p95':>7}"
)


class Command(BaseCommand):
    help = (
        "Prints what a tenant's sessions came to, day by day (UTC), newest first: numbers that the nightly job "
        "summarise_outcomes has stored. Times are in ms, from a session's first connection to its decision."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", required=True, help="whose numbers")
        parser.add_argument("--days", metavar="N", type=int, default=DAYS, help=f"how far back (default {DAYS})")
        parser.add_argument(
            "--json",
            action="store_true",
            help="print one line for each day: {day, sessions [{kind, status, reason, number}], attempts, enrolments, "
            "locks, median_ms, p95_ms}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days is 1 or more")
        try:
            tenant = find_tenant(options["tenant"])
        except TenantNotFound as error:
            raise CommandError(str(error)) from error
        since = clock.now().date() - timedelta(days=options["days"])
        found = OutcomeSummary.objects.filter(tenant=tenant, day__gte=since).order_by("-day")
        rows = read_stale(lambda: list(found.all()))
        if options["json"]:
            self.stdout.writelines(f"{_as_json(row)}\n" for row in rows)
        elif rows:
            self.stdout.write("\n".join([_HEAD, *[_in_words(row) for row in rows]]))
        else:
            self.stdout.write(f"no day of the last {options['days']} has been summarised yet")


def _as_json(row: OutcomeSummary) -> str:
    return json.dumps(
        {
            "day": row.day.isoformat(),
            "sessions": [
                {"kind": kind, "status": status, "reason": reason or None, "number": number}
                for kind, status, reason, number in row.sessions
            ],
            "attempts": row.attempts,
            "enrolments": row.enrolments,
            "locks": row.locks,
            "median_ms": row.median_ms,
            "p95_ms": row.p95_ms,
        }
    )


def _in_words(row: OutcomeSummary) -> str:
    sessions = sum(number for *_, number in row.sessions)
    succeeded = sum(number for _, status, _, number in row.sessions if status == "succeeded")
    times = [("-" if value is None else str(value)) for value in (row.median_ms, row.p95_ms)]
    return (
        f"{row.day}  {sessions:8}  {succeeded:9}  {row.attempts:8}  {row.enrolments:10}  {row.locks:5}  "
        f"{times[0]:>7}  {times[1]:>7}"
    )
