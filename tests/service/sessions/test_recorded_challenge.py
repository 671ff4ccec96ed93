"""A challenge is passed by doing it, and not with a recording, the other way about, or with another face."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import pytest

from config.settings import REPOSITORY
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import RgbImage
from testkit.faces.expressions import Action
from testkit.faces.performer import Performer, filmed
from testkit.service import LiveService, running_service
from tests.service.sessions.performers import Attempt, attempts
from tests.service.sessions.streams import run_to_the_end

SUBJECT = "astronaut"
FPS = 10
SESSIONS = 6
SWAPS = 3

pytestmark = pytest.mark.timeout(600)  # On a slow machine six sessions take longer than one test may.


@pytest.fixture(scope="module")
def performers(astronaut_rgb: RgbImage, hopper_rgb: RgbImage) -> tuple[Performer, Performer]:
    """The subject, and another face."""
    mesh = MediaPipeFaceMesh(REPOSITORY / "var" / "models" / "face_landmarker.task")
    try:
        return Performer.rehearse(astronaut_rgb, mesh, FPS), Performer.rehearse(hopper_rgb, mesh, FPS)
    finally:
        mesh.close()


@pytest.fixture(scope="module")
def astronaut(performers: tuple[Performer, Performer]) -> Performer:
    return performers[0]


@pytest.fixture(scope="module")
def hopper(performers: tuple[Performer, Performer]) -> Performer:
    return performers[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, astronaut: Performer) -> Iterator[LiveService]:
    """A service that knows the astronaut, forgives failures, and waits for a slow machine."""
    patient = {
        "FACE_ATTEMPTS_LIMIT": "1000",
        "FACE_RECOGNITION_TIME_LIMIT_S": "120",
        "FACE_ADMISSION_TIMEOUT_MS": "20000",
    }
    with running_service(tmp_path_factory.mktemp("challenge"), workers=2, pool_size=2, environment=patient) as service:
        enrolled = asyncio.run(run_to_the_end(service, "enrollment", list(filmed(astronaut.rest * 3)), SUBJECT, "none"))
        assert enrolled["success"], enrolled["reason"]
        yield service


@pytest.fixture(scope="module")
def answered(service: LiveService, astronaut: Performer) -> list[Attempt]:
    """Sessions of the astronaut, who does what she is asked."""
    return asyncio.run(attempts(service, SUBJECT, [partial(_performed, astronaut)] * SESSIONS))


def test_who_does_what_is_asked_passes(answered: list[Attempt]) -> None:
    assert [(attempt.success, attempt.reason) for attempt in answered] == [(True, None)] * SESSIONS


async def test_a_recording_does_not_pass_again(service: LiveService, answered: list[Attempt]) -> None:
    replayed = await attempts(service, SUBJECT, [partial(_replayed, attempt.sent) for attempt in answered])
    assert len(replayed) == SESSIONS
    for recorded, replay in zip(answered, replayed, strict=True):
        about = f"{recorded.asked} was recorded, {replay.asked} asked"
        assert replay.sent == recorded.sent[: len(replay.sent)], about
        assert not replay.success, about
        assert replay.reason in ("wrong_action", "replay_suspected", "liveness_timeout", "cancelled"), about


async def test_the_right_actions_in_the_other_order_do_not_pass(service: LiveService, astronaut: Performer) -> None:
    turned_about = await attempts(service, SUBJECT, [partial(_reversed, astronaut)] * SESSIONS)
    assert len(turned_about) == SESSIONS
    for attempt in turned_about:
        assert not attempt.success, attempt.asked
        assert attempt.reason in ("wrong_action", "liveness_timeout", "cancelled"), attempt.asked


@pytest.mark.parametrize("step", [0, 1], ids=["first", "second"])
async def test_another_face_for_one_step_ends_the_session(
    service: LiveService, astronaut: Performer, hopper: Performer, step: int
) -> None:
    swapped = await attempts(service, SUBJECT, [partial(_performed, astronaut, double=hopper, step=step)] * SWAPS)
    # The steps before were done: it was the face that ended the session, at the step where it came.
    assert [(attempt.success, attempt.reason, attempt.steps_done) for attempt in swapped] == [
        (False, "face_changed", step)
    ] * SWAPS


def _performed(
    performer: Performer, actions: Sequence[Action], *, double: Performer | None = None, step: int | None = None
) -> Iterator[bytes]:
    """From rest to rest; `double` stands in for one step."""
    cast = [double if double is not None and number == step else performer for number in range(len(actions))]
    takes = [who.takes[action] for who, action in zip(cast, actions, strict=True)]
    return filmed(frame for take in (performer.rest, *takes, performer.rest) for frame in take)


def _reversed(performer: Performer, actions: Sequence[Action]) -> Iterator[bytes]:
    return _performed(performer, actions[::-1])


def _replayed(recording: Sequence[bytes], asked: Sequence[Action]) -> Iterable[bytes]:
    """Whatever is asked."""
    return recording
