"""One run: a service, its clients, and what is done to it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.load.figures import Latency, latency
from bench.load.sessions import ENVIRONMENT
from bench.reload import kept
from bench.reload.disturbances import KILL, Event, Mode, disturb
from bench.reload.people import Filmed, Performing, Person, rehearsed
from bench.reload.requests import Failure, RequestTally, ask_again_and_again
from bench.reload.sessions import SessionTally, Visitor
from testkit import loopback
from testkit.clips import GRID_CLIPS
from testkit.service import REPOSITORY, LiveService, free_port, running_command

LONGEST_WAIT_S = 4.0
"""Longest wait that is not the start of a worker, which takes longer with the default warm-up."""
DRAIN_S = "5"
"""Shorter than most sessions, so that they go on in another worker."""
_IN_FLIGHT_S = 1.0
"""A request that broke off within this time of a kill may have been in the killed worker."""


@dataclass(frozen=True, slots=True)
class Plan:
    mode: Mode
    rounds: int
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
    resumed: int
    untold: int
    reconnects: dict[int, int]
    lost: list[Failure]
    mistakes: list[str]

    @property
    def held(self) -> bool:
        waited = self.plan.mode == "changes" and self.longest_wait_s > LONGEST_WAIT_S
        return bool(self.decided) and not (waited or self.failed or self.lost or self.mistakes)


def run(plan: Plan) -> Report:
    with tempfile.TemporaryDirectory(prefix="bench-reload-") as directory:
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "bench.reload.slow_start:application", "-c", "gunicorn_config.py"]
        flags = ["-w", str(plan.workers), "-b", f"127.0.0.1:{port}"]
        environment = {
            **ENVIRONMENT,
            "BENCH_WARM_UP_S": str(plan.warm_up),
            "FACE_DRAIN_S": DRAIN_S,
            "FACE_MESH_POOL_SIZE": str(plan.pool_size),
            "PYTHONPATH": str(REPOSITORY),
        }
        application = REPOSITORY / "face_recognition_app"
        with running_command([*command, *flags], port, Path(directory), application, environment) as service:
            return asyncio.run(_under_load(service, plan))


async def _under_load(service: LiveService, plan: Plan) -> Report:
    requests, sessions, over = RequestTally(), SessionTally(), asyncio.Event()
    people = await asyncio.to_thread(_people, service, plan.sessions)
    async with service.client() as client:
        clients = [
            asyncio.create_task(ask_again_and_again(service.base_url, service.api_key, number, over, requests))
            for number in range(plan.requests)
        ] + [
            asyncio.create_task(Visitor(client, person, plan.fps, sessions).come_again_and_again(over))
            for person in people
        ]
        events = await disturb(service, plan.mode, plan.rounds, plan.pause, plan.workers)
        over.set()
        await asyncio.gather(*clients)
    sessions.mistakes += await asyncio.to_thread(kept.mistakes, service, sessions.ids, sessions.enrolled)
    return _report(plan, requests, sessions, events)


def _people(service: LiveService, number: int) -> list[Person]:
    """Half of them authenticate, and are enrolled here; the others enrol."""
    filmed = [Filmed.of(clip) for clip in GRID_CLIPS]
    for person in filmed:
        enrol(service, person.subject, person.clip[0])
    performer = rehearsed()
    return [
        filmed[place // 2 % len(filmed)] if place % 2 else Performing(f"performer-{place}", performer)
        for place in range(number)
    ]


def enrol(service: LiveService, subject: str, picture: bytes) -> None:
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
    killed_at = [event.at_s for event in events if event.name.startswith(KILL)]
    began_s, longest_s = max(requests.waits, key=lambda wait: wait[1])
    before = max((event for event in events if event.at_s <= began_s), key=lambda event: event.at_s, default=events[0])
    failures = requests.failures + sessions.repeated
    in_killed = [
        one for one in failures if one.broken_off and any(abs(one.at_s - at) < _IN_FLIGHT_S for at in killed_at)
    ]
    return Report(
        plan=plan,
        answered=len(requests.waits),
        wait_ms=latency([1000 * wait for _, wait in requests.waits]),
        longest_wait_s=round(longest_s, 3),
        longest_began=f"{began_s - before.at_s:.1f} s after {before.name}",
        failed_in_killed_workers=len(in_killed),
        failed=[one for one in failures if one not in in_killed],
        decided=dict(sessions.decided),
        resumed=sessions.resumed,
        untold=sessions.untold,
        reconnects=dict(sessions.reconnects),
        lost=sessions.lost,
        mistakes=sessions.mistakes,
    )
