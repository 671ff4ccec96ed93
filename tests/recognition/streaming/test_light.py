"""The screen's light over a real socket: a face that reflects it is enrolled, another is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from core.liveness.cues.light import Colour
from core.liveness.policy import Policy
from core.types import RgbImage
from recognition.sessions import lifecycle
from recognition.sessions.terms import LivenessRequest
from recognition.worker import Worker
from tenants.liveness_policy import policy_of, set_policy
from testkit.clips import encode_jpeg
from tests.recognition.support import Backend, Message, asked, connect
from vocabulary.faces import Action

GIVES_UP_S = 20.0
"""Longer than the step's time limit: a face without reflection has failed by then."""
DELAY_S = 0.1

Shine = Callable[[RgbImage, str], RgbImage]


def reflected(rgb: RgbImage, colour: str) -> RgbImage:
    """A tenth of the screen's light falls on the face."""
    return np.asarray(np.clip(rgb * (1.0 + 0.1 * np.array(Colour(colour).rgb)), 0, 255), np.uint8)


def unmoved(rgb: RgbImage, colour: str) -> RgbImage:
    return rgb


async def enrol(token: str, rgb: RgbImage, shine: Shine) -> tuple[list[Message], Message | None]:
    """The answers, and the result where there is one before GIVES_UP_S."""
    chance, answers, colour = np.random.default_rng(0), list[Message](), None
    end = time.monotonic() + GIVES_UP_S
    async with connect(token) as socket:
        await socket.greeted()
        while time.monotonic() < end:
            noisy = np.asarray(np.clip(rgb + chance.normal(0, 2, rgb.shape), 0, 255), np.uint8)
            answer = await socket.ask(encode_jpeg(shine(noisy, colour) if colour else noisy))
            if answer["type"].endswith("_complete"):
                return answers, answer
            answers.append(answer)
            colour = answer["liveness"].get("light")
            if not await socket.is_silent(DELAY_S):
                return answers, await socket.receive()
    return answers, None


@pytest.mark.usefixtures("unblocked_loop")
async def test_a_face_that_answers_the_light_passes_and_one_that_does_not_never_does(
    worker: Worker, backend: Backend, astronaut_rgb: RgbImage, hopper_rgb: RgbImage
) -> None:
    def begin(subject_id: str) -> str:
        set_policy(backend.tenant, replace(policy_of(backend.tenant), steps=1, actions=(Action.LIGHT,)))
        liveness_request = LivenessRequest(Policy.ACTIVE, challenge_version=3)
        request = replace(asked("enrollment", subject_id, target_samples=1), liveness_request=liveness_request)
        return lifecycle.token_of(
            worker.deciding, lifecycle.create(worker.deciding, backend.tenant, request, None).session
        )

    tokens = [await worker.database.run(begin, name) for name in ("alice", "bob")]
    (answers, result), (ignored, nothing) = await asyncio.gather(
        enrol(tokens[0], astronaut_rgb, reflected), enrol(tokens[1], hopper_rgb, unmoved)
    )
    assert result is not None
    assert (result["success"], result["liveness"]) == (True, "passed")
    assert nothing is not None
    assert (nothing["success"], nothing["reason"]) == (False, "liveness_timeout")
    for seen in (answers, ignored):
        lit = [answer["liveness"]["light"] for answer in seen if "light" in answer["liveness"]]
        # Each colour is drawn to differ from the one before it; of only two of them it may still be.
        assert len(list(groupby(lit))) > 2
        assert {answer["guidance"]["code"] for answer in seen if "light" in answer["liveness"]} == {"light"}
