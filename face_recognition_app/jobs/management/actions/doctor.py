"""manage.py jobs doctor: the checklist of before and after a deployment."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from config.job_settings import JobSettings
from jobs.management.actions.words import duration, painted
from jobs.overview.checks import Limits, items

USUAL = Limits()


def add(actions: Any) -> None:
    parser = actions.add_parser("doctor", help="check what jobs need; ends with 1 when something fails")
    parser.add_argument(
        "--max-depth", type=int, default=USUAL.depth, metavar="N", help=f"waiting jobs of a type: {USUAL.depth}"
    )
    parser.add_argument(
        "--max-error-rate",
        type=_share,
        default=USUAL.error_rate,
        metavar="PERCENT",
        help=f"of the last hour: {USUAL.error_rate:.0%}".replace("%", "%%"),
    )
    parser.add_argument("--max-age", type=duration, default=USUAL.age, metavar="TIME", help="of the oldest job: 10m")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(act=examine)


def _share(text: str) -> float:
    try:
        found = float(text.removesuffix("%")) / 100
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of percent") from error
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError("0 to 100 percent")
    return found


def examine(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    found = items(settings, Limits(options["max_depth"], options["max_error_rate"], options["max_age"]))
    if options["json"]:
        command.stdout.write(json.dumps([asdict(one) for one in found]))
    else:
        width = max(len(one.name) for one in found)
        for one in found:
            word = painted(command, "pass", "SUCCESS") if one.passes else painted(command, "FAIL", "ERROR")
            command.stdout.write(f"{word}  {one.name:<{width}}  {one.words}")
    if not all(one.passes for one in found):
        sys.exit(1)
