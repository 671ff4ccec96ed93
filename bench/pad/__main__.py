"""Error rates of the liveness policies on real people and simulated attacks.

    python -m bench.pad [--split tuning|test] [--species a,b] [--count N] [--draws N] [--json FILE] [--html FILE]

The real engine observes each stream of testkit.attacks once (bench.pad.observe); the observations are replayed
through recognition.sessions.state with a simulated clock. APCER is the share of attack attempts that succeed,
whatever the reason of the others; every face counts as matching, so that recognition refuses none, except in
`swap`, where only the second of two faces matches. Policies that ask for actions are tried with several
challenges per stream. BPCER is the share of real people's attempts that are refused; a stream that ends before
a decision is a non-response, counted separately (ISO/IEC 30107-3). Attempts of one person are not independent:
the bounds hold for the attempts, not for the few people in them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from bench.cli import has_clips
from bench.pad.observe import load, observe
from bench.pad.rates import HEADER, rows_of, table
from bench.pad.report import report
from bench.pad.tries import play_all, tasks
from core.liveness.policy import Policy
from testkit.attacks import MAKERS, Split


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("pad"):
        return 2
    wanted = tasks(options.split, options.species, options.count, options.policy)
    paths = observe(wanted, options.workers)
    tries = play_all(paths, options.policy, options.draws, options.workers)
    rows = rows_of(tries)
    print(table(rows))
    if options.json:
        result = {"about": HEADER, "split": options.split, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result | {"tries": [asdict(one) for one in tries]}, indent=1))
    if options.html:
        recordings = {task: load(path) for task, path in paths.items()}
        options.html.write_text(report(options.split, recordings, rows, tries))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.pad", description="Liveness against simulated attacks.")
    parser.add_argument("--split", choices=get_args(Split), default="tuning", help="whose streams (%(default)s)")
    parser.add_argument("--species", type=_names, default=list(MAKERS), help=f"of {', '.join(MAKERS)}")
    parser.add_argument("--count", type=int, default=20, help="streams of each species (%(default)s)")
    parser.add_argument("--draws", type=int, default=1, help="challenges for each stream (%(default)s)")
    parser.add_argument("--policy", type=lambda text: [Policy(p) for p in text.split(",")], default=list(Policy))
    parser.add_argument("--workers", type=int, default=2, help="processes that look at streams (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--html", type=Path, help="write a report with plots to this file")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(MAKERS))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
