"""manage.py jobs capacity: how many slots jobs need, as measured or as said."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.job_settings import JobSettings
from jobs.management.actions.words import duration, span, table
from jobs.overview.capacity import Load, measured

USUAL_UTILIZATION = 0.7
USUAL_SINCE = timedelta(days=1)


def add(actions: Any) -> None:
    parser = actions.add_parser(
        "capacity",
        help="how many slots jobs need",
        description="slots = throughput x average duration / target utilization, for each group of job types: of the "
        "busiest hour, as measured, or as --per-hour and --seconds say.",
    )
    parser.add_argument("--per-hour", type=_positive, metavar="N", help="jobs an hour, in place of what was measured")
    parser.add_argument("--seconds", type=_positive, metavar="S", help="their average duration")
    parser.add_argument("--since", type=duration, default=USUAL_SINCE, metavar="TIME", help="measure so far back: 1d")
    parser.add_argument(
        "--utilization",
        type=_share,
        default=USUAL_UTILIZATION,
        metavar="PERCENT",
        help="share of their time that slots shall be busy: 70",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(act=tell)


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError("more than 0, less than a billion")
    return found


def _share(text: str) -> float:
    found = _positive(text.removesuffix("%")) / 100
    if found > 1:
        raise argparse.ArgumentTypeError("100 percent at most")
    return found


def tell(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    given, utilization = (options["per_hour"], options["seconds"]), options["utilization"]
    if None in given and given != (None, None):
        raise CommandError("say both --per-hour and --seconds, or neither")
    loads = measured(options["since"]) if given[0] is None else [Load("as said", *given)]
    if options["json"]:
        told = [
            {
                "group": load.group,
                "per_hour": load.per_hour,
                "average_s": round(load.average_s, 3),
                "slots": load.slots(utilization),
            }
            for load in loads
        ]
        command.stdout.write(json.dumps(told))
        return
    if not loads:
        command.stdout.write("no job has ended in this time: say --per-hour and --seconds")
        return
    cells = [[load.group, f"{load.per_hour:g}", span(load.average_s), str(load.slots(utilization))] for load in loads]
    command.stdout.write("\n".join(table(["GROUP", "JOBS AN HOUR", "AVERAGE", "SLOTS"], cells)))
    command.stdout.write(
        f"slots, busy for {utilization:.0%} of the time: the sum of WORKER_CONCURRENCY of a group's workers"
    )
