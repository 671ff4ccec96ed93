"""Who passes as live, and what does not, over the real service."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from config.settings import REPOSITORY
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import RgbImage
from testkit.clips import SHARED_DATA, astronaut, encode_jpeg, read_clip
from testkit.faces.expressions import Action
from testkit.faces.portrait import Portrait, framed, perform
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from testkit.stream_client import Message, play
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, erase_everyone, jpegs, run_to_the_end

TIME_LIMIT_S = 15
BLINKING_CLIPS = ["d0", "d3", "d10", "d12", "d14", "s20"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service whose sessions end soon."""
    limits = {
        "FACE_ENROLLMENT_TIME_LIMIT_S": str(TIME_LIMIT_S),
        "FACE_RECOGNITION_TIME_LIMIT_S": str(TIME_LIMIT_S),
    }
    with running_service(tmp_path_factory.mktemp("short"), workers=2, pool_size=2, environment=limits) as service:
        yield service


@needs_shared_data
@pytest.mark.parametrize("name", BLINKING_CLIPS)
async def test_a_living_person_passes(live_service: LiveService, name: str) -> None:
    """However slow the machine is: its sessions last longer than those of `service`."""
    erase_everyone(live_service)
    frames = read_clip(SHARED_DATA / "live" / f"{name}.mp4", 0, 240)[::2]
    done = await run_to_the_end(live_service, "enrollment", [encode_jpeg(frame) for frame in frames], name)
    assert done["success"], done["reason"]
    assert done["liveness"] == "passed"


@needs_shared_data
@pytest.mark.parametrize("motion", ["still", "slid"])
async def test_a_photo_of_the_right_person_is_refused(service: LiveService, motion: str) -> None:
    erase_everyone(service)
    frames = jpegs(clip("pwij3p"))
    assert (await run_to_the_end(service, "enrollment", frames, "pwij3p", "none"))["success"]
    photo = read_clip(clip("id2_vcd_swwp2s").path, 5, 6)[0]
    moved = [photo if motion == "still" else _slide(photo, step) for step in range(100)]
    done = await _play_until_the_end(service, [encode_jpeg(frame) for frame in moved])
    assert not done["success"]
    assert done["reason"] == ("stream_frozen" if motion == "still" else "stream_repeated")
    assert done["liveness"] == "failed"


async def test_the_challenge_is_passed_by_doing_it(service: LiveService) -> None:
    async with service.client() as client:
        created = await client.create_session("enrollment", "astronaut", "active")
        assert created.challenge is not None
        actions = [step["action"] for step in created.challenge["steps"]]
        result = await play(created.websocket_url, _performed(actions))
    assert result.completed is not None, result.messages[-1]
    assert result.completed["success"], result.completed["reason"]
    erase_everyone(service)


async def test_the_challenge_is_not_passed_by_doing_something_else(live_service: LiveService) -> None:
    erase_everyone(live_service)
    async with live_service.client() as client:
        created = await client.create_session("enrollment", "astronaut", "active")
        assert created.challenge is not None
        asked = [step["action"] for step in created.challenge["steps"]]
        choices: tuple[Action, ...] = ("blink", "turn_left", "turn_right")
        others = [action for action in choices if action != asked[0]]
        result = await play(created.websocket_url, _performed(others), linger_s=PATIENCE_S)
    assert result.completed is not None
    assert not result.completed["success"]
    # A machine that is too slow to see movements says `timeout`.
    assert result.completed["reason"] in ("liveness_timeout", "wrong_action", "timeout")


def _slide(photo: RgbImage, step: int) -> RgbImage:
    height, width = photo.shape[:2]
    shift = np.array([[1, 0, 25 * np.sin(step / 5)], [0, 1, 12 * np.sin(step / 3)]], np.float32)
    return np.asarray(cv2.warpAffine(photo, shift, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _performed(actions: list[Action]) -> list[bytes]:
    mesh = MediaPipeFaceMesh(REPOSITORY / "var" / "models" / "face_landmarker.task")
    try:
        portrait = Portrait(framed(astronaut(), mesh, (640, 480)), mesh)
        return [encode_jpeg(frame) for frame, _ in perform(portrait, actions, fps=15)]
    finally:
        mesh.close()


async def _play_until_the_end(service: LiveService, frames: list[bytes]) -> Message:
    """At 12 frames a second, until the time limit decides."""
    async with service.client() as client:
        created = await client.create_session("authentication", "pwij3p", "passive")
        result = await play(created.websocket_url, frames, fps=12, linger_s=TIME_LIMIT_S)
    assert result.completed is not None
    return result.completed
