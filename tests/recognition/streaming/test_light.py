"""The screen's light over a real socket: a face that reflects it is enrolled, another is not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pytest

from core.liveness.cues.light import Colour
from core.liveness.policy import Policy
from core.types import RgbImage
from recognition.sessions import lifecycle
from recognition.sessions.lease import Lease
from recognition.sessions.terms import LivenessRequest
from recognition.worker import Worker
from tenants.liveness_policy import policy_of, set_policy
from testkit.clips import encode_jpeg
from tests.recognition.support import Backend, Message, asked, connect
from vocabulary.faces import Action

FRAME_MS = 100
MAX_FRAMES = 200
"""Longer than the step's time limit: a face without reflection has failed by then."""

Shine = Callable[[RgbImage, str], RgbImage]


def reflected(rgb: RgbImage, colour: str) -> RgbImage:
    """A tenth of the screen's light falls on the face."""
    return np.asarray(np.clip(rgb * (1.0 + 0.1 * np.array(Colour(colour).rgb)), 0, 255), np.uint8)


def unmoved(rgb: RgbImage, colour: str) -> RgbImage:
    return rgb


@dataclass(frozen=True)
class CreatedSession:
    id: str
    token: str


class Clock:
    """The time of each session, which the client sets: a slow machine changes nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms: dict[str, int] = defaultdict(int)
        monkeypatch.setattr(Lease, "elapsed_ms", property(lambda lease: self.ms[str(lease.session.pk)]))


async def enrol(session: CreatedSession, clock: Clock, rgb: RgbImage, shine: Shine) -> tuple[list[Message], Message]:
    """Answers, and the result after at most MAX_FRAMES."""
    chance, answers, colour = np.random.default_rng(0), list[Message](), None
    async with connect(session.token) as socket:
        await socket.greeted()
        for _ in range(MAX_FRAMES):
            clock.ms[session.id] += FRAME_MS
            noisy = np.asarray(np.clip(rgb + chance.normal(0, 2, rgb.shape), 0, 255), np.uint8)
            answer = await socket.ask(encode_jpeg(shine(noisy, colour) if colour else noisy))
            if answer["type"].endswith("_complete"):
                return answers, answer
            answers.append(answer)
            colour = answer["liveness"].get("light")
    raise AssertionError("no decision")


@pytest.mark.usefixtures("unblocked_loop")
async def test_a_face_that_answers_the_light_passes_and_one_that_does_not_never_does(
    worker: Worker,
    backend: Backend,
    astronaut_rgb: RgbImage,
    hopper_rgb: RgbImage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def begin(subject_id: str) -> CreatedSession:
        set_policy(backend.tenant, replace(policy_of(backend.tenant), steps=1, actions=(Action.LIGHT,)))
        liveness_request = LivenessRequest(Policy.ACTIVE, challenge_version=3)
        request = replace(asked("enrollment", subject_id, target_samples=1), liveness_request=liveness_request)
        session = lifecycle.create(worker.deciding, backend.tenant, request, None).session
        return CreatedSession(str(session.pk), lifecycle.token_of(worker.deciding, session))

    clock = Clock(monkeypatch)
    alice, bob = [await worker.database.run(begin, name) for name in ("alice", "bob")]
    (answers, result), (ignored, nothing) = await asyncio.gather(
        enrol(alice, clock, astronaut_rgb, reflected), enrol(bob, clock, hopper_rgb, unmoved)
    )
    assert (result["success"], result["liveness"]) == (True, "passed")
    assert (nothing["success"], nothing["reason"]) == (False, "liveness_timeout")
    for seen in (answers, ignored):
        lit = [answer["liveness"]["light"] for answer in seen if "light" in answer["liveness"]]
        # Each colour is drawn to differ from the one before it; of only two of them it may still be.
        assert len(list(groupby(lit))) > 2
        assert {answer["guidance"]["code"] for answer in seen if "light" in answer["liveness"]} == {"light"}
