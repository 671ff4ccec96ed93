"""Shares of sessions in an overloaded worker: the queue alone, in simulated time.

Cameras send ten frames a second, one thread takes 17 ms for a frame, more or less, and each session has one frame in
work and one waiting, as in the service.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from statistics import mean, quantiles

import pytest

from scheduling.frame_queue import FrameQueue, WorkItem
from tests.scheduling.clock import ManualClock

INTERVAL_S = 0.1
SERVICE_S = 0.017
SECONDS = 40.0
FAR = 1e9


@dataclass(slots=True, eq=False)
class Camera:
    """Sends a frame each INTERVAL_S, the first one `phase` seconds after the beginning."""

    phase: float
    taken: float = -1.0

    def newest_at(self, now: float) -> float:
        return self.phase + math.floor((now - self.phase) / INTERVAL_S + 1e-9) * INTERVAL_S

    def next_asked(self, answered: float) -> float:
        """When the session has a frame again that was not taken yet."""
        return max(answered, self.taken + INTERVAL_S)


@dataclass(slots=True, eq=False)
class PatientClient(Camera):
    """Sends its next frame 20 ms after an answer."""

    sent: float = 0.0

    def newest_at(self, now: float) -> float:
        return self.sent

    def next_asked(self, answered: float) -> float:
        self.sent = answered + 0.02
        return self.sent


@dataclass(slots=True)
class Served:
    """`ages`: of the frames when a thread took them, in seconds."""

    answers: Counter[Camera] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)

    def shares(self, cameras: list[Camera]) -> list[float]:
        """Answers of each, over the mean of all."""
        counts = [self.answers[camera] for camera in cameras]
        return [count / mean(counts) for count in counts]


def served(cameras: list[Camera], *, crowded: bool = True, seed: int = 0) -> Served:
    clock, chance, result = ManualClock(0.0), random.Random(seed), Served()
    queue = FrameQueue(clock)
    asking = [(camera.phase, number) for number, camera in enumerate(cameras)]
    heapq.heapify(asking)
    items: dict[WorkItem, int] = {}
    now = 0.0
    while now < SECONDS:
        while asking and asking[0][0] <= now:
            clock.now, number = heapq.heappop(asking)
            item = WorkItem(lambda: None, FAR, newest_at=lambda one=cameras[number]: one.newest_at(clock.now))  # type: ignore[misc]
            items[item] = number
            queue.add(item)
        clock.now = now
        taken = queue.take(crowded=crowded)
        if taken is None:
            now = asking[0][0]
            continue
        number = items.pop(taken)
        camera = cameras[number]
        camera.taken = camera.newest_at(now)
        result.ages.append(now - camera.taken)
        result.answers[camera] += 1
        now += max(0.004, chance.gauss(SERVICE_S, 0.008))
        queue.done()
        heapq.heappush(asking, (camera.next_asked(now), number))
    return result


def cameras(number: int, seed: int) -> list[Camera]:
    chance = random.Random(seed)
    return [Camera(chance.uniform(0, INTERVAL_S)) for _ in range(number)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sessions", [30, 60])
def test_at_five_and_ten_times_the_load_shares_are_even(sessions: int, seed: int) -> None:
    crowd = cameras(sessions, seed)
    shares = served(crowd, seed=seed).shares(crowd)
    assert 0.85 < min(shares) <= max(shares) < 1.15


@pytest.mark.parametrize("seed", range(3))
def test_answers_in_a_crowd_are_of_newer_frames_than_in_order_of_arrival(seed: int) -> None:
    newest_first = quantiles(served(cameras(60, seed), seed=seed).ages, n=20)
    in_order = quantiles(served(cameras(60, seed), crowded=False, seed=seed).ages, n=20)
    assert newest_first[9] < in_order[9] / 2
    assert newest_first[-1] < in_order[-1]


def test_clients_that_wait_for_each_answer_get_the_same_share_as_others() -> None:
    crowd = cameras(30, 0)
    patient = PatientClient(0.0)
    shares = served([*crowd, patient]).shares([*crowd, patient])
    assert shares[-1] > 0.9
