"""How quickly ./service.sh starts and stops the service, and what it leaves behind.

    python -m bench.service_script [--workers 2] [--pool-size 4] [--drain 10] [--json]

Starts the service in a new data directory, stops it, and starts it again: that start counts. Then it is stopped while
a socket is open whose client does not go. Ends with 1 when the start took longer than 10 s, when the stop took longer
than the drain and 5 s, or when a process, a pid file, a socket or a listener is left.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench.cli import add_service, plan_options, report_parser, show
from testkit.script_site import ScriptSite, script_site

START_S = 10.0
OVER_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    workers: int
    pool_size: int
    drain: float


@dataclass(frozen=True, slots=True)
class Report:
    """`first_start_s`: with the database to be made. `closed_with`: what the open socket was closed with."""

    plan: Plan
    first_start_s: float
    second_start_s: float
    stop_s: float
    closed_with: int | None
    left: list[str]

    @property
    def held(self) -> bool:
        in_time = self.second_start_s <= START_S and self.stop_s <= self.plan.drain + OVER_DRAIN_S
        return in_time and not self.left


def run(plan: Plan) -> Report:
    variables = {"FACE_DRAIN_S": f"{plan.drain:g}", "FACE_RECOGNITION_TIME_LIMIT_S": "600"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-script-") as directory,
        script_site(Path(directory), **variables) as site,
    ):
        first_start_s = _start(site, plan)
        site.must("stop")
        second_start_s = _start(site, plan)
        stop_s, closed_with = asyncio.run(_stop_beside_a_socket(site))
        return Report(plan, first_start_s, second_start_s, stop_s, closed_with, left_behind(site))


def _start(site: ScriptSite, plan: Plan) -> float:
    began = time.monotonic()
    site.must("start", "--workers", f"{plan.workers}", "--pool-size", f"{plan.pool_size}")
    return round(time.monotonic() - began, 2)


async def _stop_beside_a_socket(site: ScriptSite) -> tuple[float, int | None]:
    """The time that it takes, and the close code of the socket."""
    address = f"ws://127.0.0.1:{site.port}/ws/auth/process-image/test_script/"
    async with connect(address, proxy=None) as opened:
        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(site.must, "stop"))
        with suppress(ConnectionClosed):
            async for _ in opened:
                pass
        await stopping
        return round(time.monotonic() - began, 2), opened.close_code


def left_behind(site: ScriptSite) -> list[str]:
    """Processes, pid files, sockets and a listener of a site that was stopped."""
    processes = [f"process {process.pid}" for process in site.processes()]
    files = [
        f"{path.relative_to(site.data_dir)}"
        for path in site.data_dir.rglob("*")
        if path.is_socket() or path.suffix in (".pid", ".ctl")
    ]
    with socket.socket() as probe:
        listens = probe.connect_ex(("127.0.0.1", site.port)) == 0
    return [*processes, *files, *([f"a listener on port {site.port}"] if listens else [])]


def _text(report: Report) -> str:
    plan = report.plan
    return "\n".join(
        (
            f"{plan.workers} workers of {plan.pool_size} instances each, FACE_DRAIN_S={plan.drain:g}",
            f"first start    {report.first_start_s:6.2f} s",
            f"second start   {report.second_start_s:6.2f} s, wanted {START_S:g}",
            f"stop           {report.stop_s:6.2f} s, wanted {plan.drain + OVER_DRAIN_S:g}, with an open socket"
            f" (closed with {report.closed_with})",
            f"left behind    {', '.join(report.left) or 'nothing'}",
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("service_script", "Starts and stops by ./service.sh.")
    add_service(parser, pool_size=4)
    parser.add_argument("--drain", type=float, default=10.0, help="FACE_DRAIN_S (%(default)g)")
    options = parser.parse_args(arguments)
    report = run(Plan(**plan_options(options)))
    show(report, _text, as_json=options.json)
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
