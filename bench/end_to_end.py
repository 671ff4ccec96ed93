"""Share of the bare engine's throughput that remains end to end, over the socket.

    python -m bench.end_to_end [--seconds 4] [--rounds 5] [--sessions 8] [--workers 2] [--pool-size 8] [--json]

In each round sandbox sessions get the same clips: first on engines without a server, with as many processes and
threads as the service has, then on the service, from clients that send each frame when the last one is answered.
Sessions have settled before: their liveness is decided, or nothing in the clip decides it. Clients share the machine
with the service; nothing shares it with the bare engines.

Ends with 1 when less than 80 % is left, with 2 when there are no clips.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.cli import add_service, has_clips, plan_options, report_parser
from bench.engine.bare import BareEngine, BareJob
from bench.load.closed_loop import ClosedLoopJob
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.sessions import ENVIRONMENT
from bench.load.tables import number, table
from testkit.service import running_service

SETTLE_S = 8.0
BAR = 0.8
UNLIMITED = ENVIRONMENT | {"FACE_MAX_MESSAGES_PER_SECOND": "1000"}
"""Environment of the service: closed-loop clients send more messages than a camera does."""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    rounds: int
    sessions: int
    workers: int
    pool_size: int


@dataclass(frozen=True, slots=True)
class Round:
    """Frames per second of all processes together."""

    bare_per_s: float
    socket_per_s: float

    @property
    def share(self) -> float:
        return self.socket_per_s / self.bare_per_s


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    rounds: list[Round]

    @property
    def share(self) -> float:
        """Median of the rounds' shares: a disturbance affects both sides of a round."""
        return statistics.median(one.share for one in self.rounds)


def run(directory: Path, plan: Plan) -> Report:
    with ExitStack() as stack:
        engines = [stack.enter_context(LoadProcess()) for _ in range(plan.workers)]
        clients = stack.enter_context(LoadProcess())
        service = stack.enter_context(
            running_service(directory, workers=plan.workers, pool_size=plan.pool_size, environment=UNLIMITED)
        )
        shares = [len(range(first, plan.sessions, plan.workers)) for first in range(plan.workers)]
        jobs = [
            BareJob(BareEngine(directory / f"bare-{n}", plan.workers, plan.pool_size, share), plan.seconds)
            for n, share in enumerate(shares)
        ]
        _bare_per_s(engines, [replace(job, seconds=SETTLE_S) for job in jobs])
        rounds = []
        for done in range(plan.rounds):
            print(f"end_to_end: round {done + 1} of {plan.rounds}", file=sys.stderr, flush=True)
            bare_per_s = _bare_per_s(engines, jobs)
            socket_per_s = clients.run(ClosedLoopJob(service.base_url, plan.sessions, SETTLE_S, plan.seconds))
            rounds.append(Round(round(bare_per_s, 1), round(socket_per_s, 1)))
    return Report(plan, rounds)


def _bare_per_s(engines: Sequence[LoadProcess], jobs: Sequence[BareJob]) -> float:
    """Frames per second of all engines running side by side."""
    for engine, job in zip(engines, jobs, strict=True):
        engine.start(job)
    return sum(engine.result(job) for engine, job in zip(engines, jobs, strict=True))


def _text(report: Report) -> str:
    rows = [[number(one.bare_per_s, 1), number(one.socket_per_s, 1), f"{one.share:.0%}"] for one in report.rounds]
    reached = "reached" if report.share >= BAR else "missed"
    return (
        f"{table(('bare frames/s', 'over the socket', 'share'), rows)}\n\n"
        f"{report.plan.sessions} sandbox sessions: {report.share:.0%} of the bare engine is left;"
        f" the bar is {BAR:.0%}: {reached}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("end_to_end"):
        return 2
    plan = Plan(**plan_options(options))
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="bench-end-to-end-") as directory:
        report = run(Path(directory), plan)
    print(json.dumps(asdict(report) | {"share": report.share}, indent=2) if options.json else _text(report))
    return 0 if report.share >= BAR else 1


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("end_to_end", "What the socket takes.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in each round (%(default)g)")
    parser.add_argument("--rounds", type=int, default=5, help="of both sides (%(default)s)")
    parser.add_argument("--sessions", type=int, default=8, help="side by side (%(default)s)")
    add_service(parser, pool_size=8)
    return parser


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
