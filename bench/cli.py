"""Command line of the benches: common options, the check for clips, and the output of a report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from testkit.clips import shared_data_available

Report = TypeVar("Report")


def report_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser for `python -m bench.NAME`, with --json."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def add_fps(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument("--fps", type=float, default=default, help="frames per second of each client (%(default)g)")


def add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=2, help="workers of the service (%(default)s)")


def add_service(parser: argparse.ArgumentParser, pool_size: int) -> None:
    """Add the options of the service that the bench starts."""
    add_workers(parser)
    parser.add_argument("--pool-size", type=int, default=pool_size, help="FaceMesh instances per worker (%(default)s)")


def plan_options(options: argparse.Namespace) -> dict[str, Any]:
    """The parsed options other than --json, by name: the fields of a bench's plan."""
    return {name: value for name, value in vars(options).items() if name != "json"}


def has_clips(name: str) -> bool:
    """Whether the shared clips are present; says on stderr for the bench `name` when they are not."""
    if shared_data_available():
        return True
    print(f"{name}: the shared clips and pictures are not here (SHARED_DATA_DIR)", file=sys.stderr)
    return False


def show(report: Report, text: Callable[[Report], str], *, as_json: bool) -> None:
    """Print a dataclass, or a container of them, as JSON or as text."""
    print(json.dumps(report, default=asdict, indent=2) if as_json else text(report))
