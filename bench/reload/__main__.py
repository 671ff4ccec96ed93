"""Effect of replaced workers on clients: reloads and killed workers under load.

    python -m bench.reload [--events 3] [--pause 8] [--warm-up 5] [--requests 8] [--sessions 12] [--fps 4]
        [--workers 2] [--pool-size 4] [--json]

Sends SIGHUP to the service `--events` times, `--pause` seconds apart, then kills a worker as many times, while
clients request health on new connections and people authenticate. Workers take `--warm-up` seconds longer to start
than they need. Ends with 1 when a request outside of a killed worker failed, when one waited longer than a second, or
when a session ended without its decision; with 2 when there are no clips.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.load.figures import Latency, latency
from bench.load.process import end_on_sigterm
from bench.load.sessions import ENVIRONMENT
from bench.load.tables import number, table
from bench.reload.clients import Failure, RequestTally, SessionTally, ask_again_and_again, stream_again_and_again
from testkit import loopback
from testkit.clips import GRID_CLIPS, GridClip, encode_jpeg, read_clip
from testkit.service import REPOSITORY, LiveService, free_port, running_command

LONGEST_WAIT_S = 1.0
_IN_FLIGHT_S = 1.0
"""A request that failed within this time of a kill may have been in the killed worker."""
_KILL = "kill -9"
_HEALTH = "/api/health/"
_EVERY = 2
"""Every so many frames of a clip one is sent: clips have 25 per second, and slow movements delay liveness."""


@dataclass(frozen=True, slots=True)
class Event:
    at_s: float
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    events: int
    pause: float
    warm_up: float
    requests: int
    sessions: int
    fps: float
    workers: int
    pool_size: int


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    answered: int
    wait_ms: Latency
    longest_wait_s: float
    longest_began: str
    failed_in_killed_workers: int
    failed: list[Failure]
    decided: dict[str, int]
    undecided: list[Failure]
    reconnects: dict[int, int]

    @property
    def held(self) -> bool:
        return not self.failed and not self.undecided and self.longest_wait_s <= LONGEST_WAIT_S


def run(plan: Plan) -> Report:
    with tempfile.TemporaryDirectory(prefix="bench-reload-") as directory:
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "bench.reload.slow_start:application", "-c", "gunicorn_config.py"]
        flags = ["-w", str(plan.workers), "-b", f"127.0.0.1:{port}"]
        environment = {
            **ENVIRONMENT,
            "BENCH_WARM_UP_S": str(plan.warm_up),
            "FACE_MESH_POOL_SIZE": str(plan.pool_size),
            "PYTHONPATH": str(REPOSITORY),
        }
        application = REPOSITORY / "face_recognition_app"
        with running_command([*command, *flags], port, Path(directory), application, environment) as service:
            return asyncio.run(_under_load(service, plan))


async def _under_load(service: LiveService, plan: Plan) -> Report:
    requests, sessions, over = RequestTally(), SessionTally(), asyncio.Event()
    clips = [await asyncio.to_thread(_enrolled, service, clip) for clip in GRID_CLIPS]
    async with service.client() as client:
        clients = [
            asyncio.create_task(ask_again_and_again(service.base_url, _HEALTH, over, requests))
            for _ in range(plan.requests)
        ] + [
            asyncio.create_task(stream_again_and_again(client, *clips[n % len(clips)], plan.fps, over, sessions))
            for n in range(plan.sessions)
        ]
        events = await _events(service, plan)
        over.set()
        await asyncio.gather(*clients)
    return _report(plan, requests, sessions, events)


async def _events(service: LiveService, plan: Plan) -> list[Event]:
    """Reload the service, then kill workers; returns what was done when."""
    events = [Event(time.monotonic(), "the start")]
    await asyncio.sleep(plan.pause / 2)
    for number_ in range(plan.events):
        events.append(_happens(f"SIGHUP {number_ + 1}"))
        os.kill(service.pid, signal.SIGHUP)
        await asyncio.sleep(plan.pause)
    await _until_settled(service, plan)
    for number_ in range(plan.events):
        victim = min(worker.pid for worker in psutil.Process(service.pid).children())
        events.append(_happens(f"{_KILL} {number_ + 1}"))
        os.kill(victim, signal.SIGKILL)
        await asyncio.sleep(plan.pause)
    await _until_settled(service, plan)
    return events


async def _until_settled(service: LiveService, plan: Plan) -> None:
    """Wait until as many workers as wanted are ready and no reload is in progress."""
    for _ in range(100):
        async with loopback.client(base_url=service.base_url, timeout=30) as client:
            ready = (await client.get("/api/pool/status/")).json()["workers"]
        if len(ready) == len(psutil.Process(service.pid).children()) == plan.workers:
            return
        await asyncio.sleep(1)
    raise RuntimeError("the workers did not come to rest")


def _enrolled(service: LiveService, clip: GridClip) -> tuple[str, list[bytes]]:
    """Enrol the person of a clip; returns the subject and the frames that their camera sends."""
    frames = [encode_jpeg(frame) for frame in read_clip(clip.path)]
    _enroll(service, clip.speaker, frames[1])
    return clip.speaker, frames[::_EVERY]


def _enroll(service: LiveService, subject: str, picture: bytes) -> None:
    answer = loopback.post(
        f"{service.base_url}/api/v1/subjects/{subject}/templates/",
        files={"images": ("portrait.jpg", picture, "image/jpeg")},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=30,
    )
    answer.raise_for_status()
    if not answer.json()["accepted"]:
        raise RuntimeError(f"the portrait was not accepted: {answer.text}")


def _report(plan: Plan, requests: RequestTally, sessions: SessionTally, events: list[Event]) -> Report:
    killed_at = [event.at_s for event in events if event.name.startswith(_KILL)]
    began_s, longest_s = max(requests.waits, key=lambda wait: wait[1])
    before = max((event for event in events if event.at_s <= began_s), key=lambda event: event.at_s, default=events[0])
    in_killed = [one for one in requests.failures if any(abs(one.at_s - at) < _IN_FLIGHT_S for at in killed_at)]
    return Report(
        plan=plan,
        answered=len(requests.waits),
        wait_ms=latency([1000 * wait for _, wait in requests.waits]),
        longest_wait_s=round(longest_s, 3),
        longest_began=f"{began_s - before.at_s:.1f} s after {before.name}",
        failed_in_killed_workers=len(in_killed),
        failed=[one for one in requests.failures if one not in in_killed],
        decided=dict(sessions.decided),
        undecided=sessions.undecided,
        reconnects=dict(sessions.reconnects),
    )


def _happens(name: str) -> Event:
    print(f"reload: {name}", file=sys.stderr, flush=True)
    return Event(time.monotonic(), name)


def _text(report: Report) -> str:
    plan = report.plan
    heads = ["requests", "p50 ms", "p95 ms", "p99 ms", "longest s", "failed in killed workers", "failed otherwise"]
    cells = [
        str(report.answered),
        *(number(value, 1) for value in (report.wait_ms.p50, report.wait_ms.p95, report.wait_ms.p99)),
        number(report.longest_wait_s, 2),
        str(report.failed_in_killed_workers),
        str(len(report.failed)),
    ]
    decided = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.decided.items()))
    cut = ", ".join(f"{count} after {code}" for code, count in sorted(report.reconnects.items())) or "none"
    lines = [
        f"{plan.events} reloads and {plan.events} killed workers, {plan.pause:g} s apart, {plan.workers} workers that"
        f" start {plan.warm_up:g} s late",
        table(heads, [cells]),
        f"the longest wait began {report.longest_began}",
        f"sessions decided: {decided}; without a decision: {len(report.undecided)}; connected again: {cut}",
        *(f"failed: {one.what}" for one in [*report.failed, *report.undecided][:20]),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("reload", "Reloads and deaths under load.")
    parser.add_argument("--events", type=int, default=3, help="reloads, and then killed workers (%(default)s)")
    parser.add_argument("--pause", type=float, default=8.0, help="seconds between them (%(default)g)")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds a worker starts late (%(default)g)")
    parser.add_argument("--requests", type=int, default=8, help="clients that ask for health (%(default)s)")
    parser.add_argument("--sessions", type=int, default=12, help="people who authenticate (%(default)s)")
    add_fps(parser, 4.0)
    add_service(parser, pool_size=4)
    options = parser.parse_args(arguments)
    if not has_clips("reload"):
        return 2
    report = run(Plan(**plan_options(options)))
    show(report, _text, as_json=options.json)
    return 0 if report.held else 1


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
