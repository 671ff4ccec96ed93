"""Throughput and latency of the health probe while live clients stream.

    python -m bench.http [--seconds 10] [--connections 100] [--streams 10] [--fps 10] [--path /api/health/]
        [--workers 2] [--pool-size 8] [--json]

Each keep-alive connection sends the next request as soon as it has its answer, from one process; the
streams are sandbox sessions from another one. Both share the machine with the service: the table shows
what the clients take. Ends with 1 after an error, with 2 when there are no clips.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.http.connections import HttpJob
from bench.load.figures import Latency, ServerFigures, Step, latency, server_figures, step_of, steps_table
from bench.load.live import Manner
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import Usage, usage
from bench.load.sessions import ENVIRONMENT
from bench.load.streams import StreamJob
from bench.load.tables import number, table
from testkit.service import LiveService, temporary_service

WARM_UP_S = 2.0
HTTP_WARM_UP_S = 0.5
MARGIN_S = 1.0
"""Time by which the streams outlast the requests."""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    connections: int
    streams: int
    fps: float
    path: str
    workers: int
    pool_size: int


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    requests_per_s: float
    latency_ms: Latency
    errors: Mapping[str, int]
    client_cpu_cores: float
    """Cores used by the process that makes the requests."""
    server: ServerFigures
    streams: Step | None
    """Figures of the streams; None without any."""


def run(plan: Plan) -> Report:
    raise_file_limit()
    with (
        temporary_service(workers=plan.workers, pool_size=plan.pool_size, environment=ENVIRONMENT) as service,
        LoadProcess() as asking,
        LoadProcess() as streaming,
    ):
        if not plan.streams:
            return _ask(service, plan, asking)
        job = _stream_job(service, plan)
        streaming.start(job)
        streaming.wait_for_note()
        begin = usage(service.pid)
        report = _ask(service, plan, asking)
        outcome = streaming.result(job)
        return replace(report, streams=step_of(outcome, begin, usage(service.pid)))


def _stream_job(service: LiveService, plan: Plan) -> StreamJob:
    return StreamJob(
        base_url=service.base_url,
        api_key=service.api_key,
        kind="sandbox",
        liveness="passive",
        people=frozenset(),
        sessions=plan.streams,
        manner=Manner(plan.fps, obey_pacing=False),
        warm_up_s=WARM_UP_S,
        seconds=HTTP_WARM_UP_S + plan.seconds + MARGIN_S,
    )


def _ask(service: LiveService, plan: Plan, asking: LoadProcess) -> Report:
    moments: list[Usage] = []
    job = HttpJob(service.base_url, plan.path, plan.connections, HTTP_WARM_UP_S, plan.seconds)
    outcome = asking.run(job, lambda _: moments.append(usage(service.pid)))
    before, after = moments
    return Report(
        plan=plan,
        requests_per_s=round(len(outcome.latencies_ms) / outcome.seconds, 1),
        latency_ms=latency(outcome.latencies_ms),
        errors=dict(outcome.errors),
        client_cpu_cores=round(outcome.client_cpu_s / outcome.seconds, 2),
        server=server_figures(before, after),
        streams=None,
    )


def _text(report: Report) -> str:
    plan, spread = report.plan, report.latency_ms
    heads = ["connections", "requests/s", "p50 ms", "p95 ms", "p99 ms", "errors", "client CPU", "server CPU"]
    cells = [
        str(plan.connections),
        number(report.requests_per_s),
        *(number(value, 1) for value in (spread.p50, spread.p95, spread.p99)),
        str(sum(report.errors.values())),
        number(report.client_cpu_cores, 2),
        number(report.server.cpu_cores, 2),
    ]
    lines = [f"GET {plan.path}", table(heads, [cells])]
    if report.errors:
        lines.append(f"errors {dict(report.errors)}")
    if report.streams is not None:
        lines += ["", f"beside it, streams at {plan.fps:g} frames/s", steps_table([report.streams])]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("http", "The health probe beside live clients.")
    parser.add_argument("--seconds", type=float, default=10.0, help="that are measured (%(default)g)")
    parser.add_argument("--connections", type=int, default=100, help="keep-alive, one request each (%(default)s)")
    parser.add_argument("--streams", type=int, default=10, help="sandbox sessions meanwhile; 0: none (%(default)s)")
    add_fps(parser, 10.0)
    parser.add_argument("--path", default="/api/health/", help="what is asked for (%(default)s)")
    add_service(parser, pool_size=8)
    options = parser.parse_args(arguments)
    if options.streams and not has_clips("http"):
        return 2
    report = run(Plan(**plan_options(options)))
    show(report, _text, as_json=options.json)
    return 1 if report.errors or (report.streams is not None and report.streams.errors) else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
