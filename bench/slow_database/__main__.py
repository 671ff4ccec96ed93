"""Cost of a slow database to sandboxes, which do not use it, beside sessions that do, on one worker with
one compute thread.

    python -m bench.slow_database [--seconds 6] [--sandboxes 2] [--sessions 3] [--fps 10] [--query-ms 0 50 200] [--json]

The sessions authenticate under `strict` liveness, which the clips do not pass, so that they continue: each of their
frames makes queries. Ends with 1 when the sandboxes lose a tenth of the answers that they get with the first delay,
with 2 when there are no clips.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli import add_fps, has_clips, plan_options, report_parser, show
from bench.load.figures import Step, step_of
from bench.load.live import Manner
from bench.load.process import LoadProcess, end_on_sigterm
from bench.load.server_usage import Usage, usage
from bench.load.sessions import ENVIRONMENT, Kind, enroll_people
from bench.load.streams import StreamJob
from bench.load.tables import number, table
from testkit.service import REPOSITORY, LiveService, free_port, running_command

WARM_UP_S = 3.0
POOL_SIZE = 8
LEAST_KEPT = 0.9


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    sandboxes: int
    sessions: int
    fps: float
    query_ms: list[float]


@dataclass(frozen=True, slots=True)
class Round:
    """Answered frames while each statement took `query_ms` longer."""

    query_ms: float
    sandboxes: Step
    sessions: Step


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    rounds: list[Round]

    def kept(self, of: Round) -> float:
        """The sandboxes' answered frames as a share of those in the round `of`."""
        return of.sandboxes.answered_per_s / self.rounds[0].sandboxes.answered_per_s

    @property
    def held(self) -> bool:
        return all(self.kept(each) >= LEAST_KEPT for each in self.rounds)


def run(plan: Plan) -> Report:
    with tempfile.TemporaryDirectory(prefix="bench-slow-database-") as directory:
        port, delay = free_port(), Path(directory) / "query-s"
        delay.write_text("0")
        module = "bench.slow_database.slow_application:application"
        command = [sys.executable, "-m", "gunicorn", module, "-c", "gunicorn_config.py"]
        environment = {
            **ENVIRONMENT,
            "BENCH_QUERY_S_FILE": str(delay),
            "FACE_MESH_POOL_SIZE": str(POOL_SIZE),
            "FACE_COMPUTE_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
        }
        flags = ["-w", "1", "-b", f"127.0.0.1:{port}"]
        application = REPOSITORY / "face_recognition_app"
        with (
            running_command([*command, *flags], port, Path(directory), application, environment) as service,
            LoadProcess() as sandboxes,
            LoadProcess() as sessions,
        ):
            people = enroll_people(service)
            return Report(plan, [_round(service, plan, ms, delay, people, sandboxes, sessions) for ms in plan.query_ms])


def _round(
    service: LiveService,
    plan: Plan,
    query_ms: float,
    delay: Path,
    people: frozenset[str],
    sandboxes: LoadProcess,
    sessions: LoadProcess,
) -> Round:
    delay.write_text(str(query_ms / 1000))
    storing = _job(service, plan, "authentication", plan.sessions, people)
    computing = _job(service, plan, "sandbox", plan.sandboxes, people)
    sessions.start(storing)
    sessions.wait_for_note()
    moments: list[Usage] = []
    outcome = sandboxes.run(computing, lambda _: moments.append(usage(service.pid)))
    stored = sessions.result(storing)
    delay.write_text("0")
    return Round(query_ms, step_of(outcome, *moments), step_of(stored, *moments))


def _job(service: LiveService, plan: Plan, kind: Kind, size: int, people: frozenset[str]) -> StreamJob:
    """A job of one kind. Sessions start before the sandboxes beside them and outlast them."""
    longer_s = 0.0 if kind == "sandbox" else WARM_UP_S
    return StreamJob(
        base_url=service.base_url,
        api_key=service.api_key,
        kind=kind,
        liveness="strict",
        people=people,
        sessions=size,
        manner=Manner(plan.fps, obey_pacing=False),
        warm_up_s=WARM_UP_S,
        seconds=plan.seconds + longer_s,
    )


def _text(report: Report) -> str:
    plan = report.plan
    heads = [
        "a query ms",
        "sandboxes answered/s",
        "kept",
        "p50 ms",
        "p95 ms",
        "sessions answered/s",
        "p50 ms",
        "p95 ms",
    ]
    rows = [
        [
            number(each.query_ms),
            number(each.sandboxes.answered_per_s, 1),
            number(report.kept(each), 2),
            number(each.sandboxes.latency_ms.p50),
            number(each.sandboxes.latency_ms.p95),
            number(each.sessions.answered_per_s, 1),
            number(each.sessions.latency_ms.p50),
            number(each.sessions.latency_ms.p95),
        ]
        for each in report.rounds
    ]
    title = f"one compute thread, {plan.sandboxes} sandboxes and {plan.sessions} sessions at {plan.fps:g} frames/s"
    return f"{title}\n{table(heads, rows)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("slow_database", "Sandboxes beside sessions whose database is slow.")
    parser.add_argument("--seconds", type=float, default=6.0, help="that are measured for each delay (%(default)g)")
    parser.add_argument("--sandboxes", type=int, default=2, help="which make no query (%(default)s)")
    parser.add_argument("--sessions", type=int, default=3, help="whose every frame makes queries (%(default)s)")
    add_fps(parser, 10.0)
    parser.add_argument("--query-ms", type=float, nargs="+", default=[0.0, 50.0, 200.0], help="(%(default)s)")
    options = parser.parse_args(arguments)
    if not has_clips("slow_database"):
        return 2
    report = run(Plan(**plan_options(options)))
    show(report, _text, as_json=options.json)
    return 0 if report.held else 1


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
