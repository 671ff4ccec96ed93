"""Number of live clients that the service answers in time, over real sockets on the loopback device.

    python -m bench.stream [--sessions N] [--fps 10] [--seconds 20] [--warm-up 2] [--workers 2] [--pool-size 8]
        [--kind sandbox|identification|authentication|enrollment] [--liveness none|passive|active]
        [--overload 2,5,10|none] [--obey-pacing] [--guess 8] [--json]

Starts the service and one process of clients, each of which sends JPEGs of real clips (of 640x480
pixels) without waiting for answers. Without --sessions it searches for the largest number with a p95
of at most 200 ms from send to answer, no frame dropped and no busy answer, confirms it over --seconds,
and then runs the multiples of --overload. Sessions other than sandboxes are created over HTTP
beforehand, unmeasured, and a client whose session is decided opens the next. Clients that obey pacing
(in the runs of --sessions and --overload, not in the search) send at most `target_fps`, and nothing
during the `retry_after_ms` of a busy answer.

Server and clients share the machine; the table shows what the clients take.
Ends with 1 after an error other than busy, with 2 when there are no clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.load.figures import Step, confirm, search_largest, step_of, steps_table
from bench.load.live import Manner
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import Usage, usage
from bench.load.sessions import ENVIRONMENT, Kind, enroll_people
from bench.load.streams import StreamJob
from testkit.service import LiveService, temporary_service
from testkit.stream_client import Liveness

SEARCH_SECONDS = 6.0
WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    sessions: int | None
    """None: search for the largest number."""
    fps: float
    seconds: float
    warm_up: float
    workers: int
    pool_size: int
    kind: Kind
    liveness: Liveness
    overload: tuple[float, ...]
    obey_pacing: bool
    guess: int


@dataclass(slots=True)
class Report:
    plan: Plan
    search: list[Step] = field(default_factory=list)
    sessions: int = 0
    """The given number, or the largest that held; 0 when not even one did."""
    steady: Step | None = None
    overload: list[Step] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        return [*self.search, *([self.steady] if self.steady else []), *self.overload]


class Bench:
    """A running service and a load process, which run steps."""

    def __init__(self, service: LiveService, load: LoadProcess, plan: Plan) -> None:
        self._service = service
        self._load = load
        self._plan = plan
        self._steps = 0
        self._people: frozenset[str] = frozenset()
        if plan.kind in ("authentication", "identification"):
            self._people = enroll_people(service)

    def run(self) -> Report:
        report = Report(self._plan, sessions=self._plan.sessions or 0)
        if report.sessions:
            report.steady = self.step(report.sessions, self._plan.seconds, self._plan.obey_pacing)
        else:
            self._search(report)
        for factor in self._plan.overload if report.sessions else ():
            size = max(1, round(factor * report.sessions))
            report.overload.append(self.step(size, self._plan.seconds, self._plan.obey_pacing))
        return report

    def _search(self, report: Report) -> None:
        def holds_for(seconds: float, sessions: int) -> bool:
            step = self.step(sessions, seconds, obey_pacing=False)
            report.search.append(step)
            return step.holds(self._plan.fps)

        found = search_largest(lambda sessions: holds_for(SEARCH_SECONDS, sessions), self._plan.guess)
        report.sessions = confirm(lambda sessions: holds_for(self._plan.seconds, sessions), found)
        if report.sessions:
            report.steady = report.search.pop()

    def step(self, sessions: int, seconds: float, obey_pacing: bool) -> Step:
        plan = self._plan
        self._steps += 1
        job = StreamJob(
            base_url=self._service.base_url,
            api_key=self._service.api_key,
            kind=plan.kind,
            liveness=plan.liveness,
            people=self._people,
            sessions=sessions,
            manner=Manner(plan.fps, obey_pacing),
            warm_up_s=plan.warm_up,
            seconds=seconds,
            seed=self._steps,
        )
        moments: list[Usage] = []
        outcome = self._load.run(job, lambda _: moments.append(usage(self._service.pid)))
        before, after = moments
        step = step_of(outcome, before, after)
        print(_progress(step), file=sys.stderr, flush=True)
        return step


def _progress(step: Step) -> str:
    trouble = f", errors {dict(step.errors)}" if step.errors else ""
    return (
        f"{step.sessions} sessions, {step.seconds:.0f} s: {step.answered_per_s:.0f} of {step.sent_per_s:.0f} frames/s, "
        f"p95 {step.latency_ms.p95} ms, dropped {step.dropped}, busy {step.busy}{trouble}"
    )


def _text(report: Report) -> str:
    plan = report.plan
    lines = [steps_table(report.steps), ""]
    if plan.sessions is None:
        lines.append(f"largest number of {plan.kind} sessions at {plan.fps:g} frames/s that holds: {report.sessions}")
    for step in report.steps:
        if step.failures:
            lines.append(f"{step.sessions} sessions: did not succeed by {dict(step.failures)}")
        if step.errors:
            lines.append(f"{step.sessions} sessions: errors {dict(step.errors)}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("stream"):
        return 2
    plan = Plan(**plan_options(options))
    raise_file_limit()
    with (
        temporary_service(workers=plan.workers, pool_size=plan.pool_size, environment=ENVIRONMENT) as service,
        LoadProcess() as load,
    ):
        report = Bench(service, load, plan).run()
    show(report, _text, as_json=options.json)
    return 1 if any(step.errors for step in report.steps) else 0


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("stream", "Live clients over real sockets.")
    parser.add_argument("--sessions", type=int, help="clients (default: search the largest number that holds)")
    add_fps(parser, 10.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a step, beside the search's (%(default)g)")
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S, help="seconds before each step (%(default)g)")
    add_service(parser, pool_size=8)
    parser.add_argument("--kind", choices=get_args(Kind), default="sandbox", help="of session (%(default)s)")
    parser.add_argument("--liveness", choices=["none", "passive", "active"], default="passive", help="(%(default)s)")
    parser.add_argument(
        "--overload", type=_factors, default=(2.0, 5.0, 10.0), help="multiples to run afterwards, or none (2,5,10)"
    )
    parser.add_argument("--obey-pacing", action="store_true", help="clients send no faster than they are asked to")
    parser.add_argument("--guess", type=int, default=8, help="where the search begins (%(default)s)")
    return parser


def _factors(text: str) -> tuple[float, ...]:
    return () if text == "none" else tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
