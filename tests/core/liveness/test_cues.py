"""Living people show their cues in real clips; photographs, however they are moved, do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.face_mesh import FaceMesh
from core.face_recognition_engine import FaceRecognitionEngine
from core.features.quality import face_box
from core.liveness.cues.movements import BlinkCue, MoireCue, MouthCue, SpoofCue
from core.liveness.limits import MOIRE
from core.liveness.observation import FaceReading, read_face
from core.types import RgbImage
from testkit.clips import GRID_CLIPS, GridClip, astronaut, grace_hopper, read_clip, read_image
from testkit.faces.portrait import framed
from tests.conftest import data_file, needs_shared_data
from tests.core.liveness.readings import CLOSED, LEFT, OPEN, TALKING, first_seen, readings_of, timed

STILL_FRAMES = 16
TALKING_CLIPS = ("d10", "d12", "d14")
PHOTOGRAPHED = (
    "Aaron_Patterson",
    "Bob_Menendez",
    "Aaron_Sorkin",
    "Juan_Manuel_Marquez",
    "Marco_Antonio_Barrera",
    "Natalie_Juniardi",
    "Robert_Bonner",
    "Teruaki_Masumoto",
)


def blinks(readings: list[FaceReading]) -> bool:
    cue = BlinkCue()
    for reading in readings:
        cue.observe(reading)
    return cue.seen


def speaks(readings: list[FaceReading]) -> bool:
    cue = MouthCue()
    for reading in readings:
        cue.observe(reading)
    return cue.seen


def wave(frame: int, period: float) -> float:
    return float(np.sin(2 * np.pi * frame / period))


def warped(rgb: RgbImage, transform: cv2.typing.MatLike) -> RgbImage:
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.warpAffine(rgb, transform, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def held_still(rgb: RgbImage, frame: int) -> RgbImage:
    return rgb


def slid(rgb: RgbImage, frame: int) -> RgbImage:
    return warped(rgb, np.array([[1, 0, 40 * wave(frame, 12)], [0, 1, 15 * wave(frame, 7)]]))


def noisy(rgb: RgbImage, frame: int) -> RgbImage:
    noise = np.random.default_rng(frame).normal(0, 14, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def rotated(rgb: RgbImage, frame: int) -> RgbImage:
    return warped(rgb, cv2.getRotationMatrix2D((rgb.shape[1] / 2, rgb.shape[0] / 2), 25 * wave(frame, 10), 1.0))


def tilted(rgb: RgbImage, frame: int) -> RgbImage:
    """A flat picture, turned to both sides and nodded before the camera."""
    height, width = rgb.shape[:2]
    turn = cv2.Rodrigues(np.array([0.0, np.radians(35 * wave(frame, 12)), 0.0]))[0]
    nod = cv2.Rodrigues(np.array([np.radians(25 * wave(frame, 9)), 0.0, 0.0]))[0]
    camera = np.array([[1.2 * width, 0, width / 2], [0, 1.2 * width, height / 2], [0, 0, 1]])
    plane = turn @ nod @ np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 0]])
    plane[2, 2] += 1.2 * width
    return np.asarray(
        cv2.warpPerspective(rgb, camera @ plane, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def out_of_focus(rgb: RgbImage, frame: int) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.3 + 2.0 * abs(wave(frame, 9))), np.uint8)


MOVES: tuple[Callable[[RgbImage, int], RgbImage], ...] = (held_still, slid, noisy, rotated, tilted, out_of_focus)


@pytest.fixture(scope="module")
def photographs(mesh: FaceMesh) -> list[RgbImage]:
    """Ten people, as a photograph held before a webcam is framed."""
    folders = [data_file("lfw/images") / name for name in PHOTOGRAPHED]
    pictures = [astronaut(), grace_hopper(), *(read_image(min(folder.iterdir())) for folder in folders)]
    return [framed(rgb, mesh, (360, 288)) for rgb in pictures]


@needs_shared_data
@pytest.mark.parametrize("move", MOVES)
def test_a_photograph_never_blinks_or_speaks(
    engine: FaceRecognitionEngine, photographs: list[RgbImage], move: Callable[[RgbImage, int], RgbImage]
) -> None:
    for person, photograph in enumerate(photographs):
        frames = [move(photograph, frame) for frame in range(STILL_FRAMES)]
        readings = readings_of(frames, engine.detector, fps=10)
        assert len(readings) >= STILL_FRAMES // 4, "too few to prove anything"
        assert not blinks(readings), person
        assert not speaks(readings), person


@needs_shared_data
@pytest.mark.parametrize("clip", GRID_CLIPS, ids=lambda clip: clip.name)
def test_a_speaker_blinks_when_they_blink_and_speaks(engine: FaceRecognitionEngine, clip: GridClip) -> None:
    readings = readings_of(read_clip(clip.path), engine.detector, fps=25)
    assert speaks(readings)
    assert not speaks(readings[:8])
    cue = BlinkCue()

    def observed(reading: FaceReading) -> bool:
        cue.observe(reading)
        return cue.seen

    seen = first_seen(readings, observed)
    complete = [frame for frame in clip.blink_frames if frame < 70]
    if complete:
        assert seen is not None
        assert seen.at_ms >= complete[0] * 40
        assert any(0 <= seen.at_ms - frame * 40 <= 1_000 for frame in complete)


@needs_shared_data
@pytest.mark.parametrize("name", TALKING_CLIPS)
def test_people_who_talk_to_a_camera_are_seen_to_speak(engine: FaceRecognitionEngine, name: str) -> None:
    frames = read_clip(data_file(f"live/{name}.mp4"), 0, 80)[::2]
    assert speaks(readings_of(frames, engine.detector, fps=12.5))


@needs_shared_data
def test_a_blink_survives_a_stream_of_eight_frames_a_second(engine: FaceRecognitionEngine) -> None:
    frames = read_clip(data_file("live/d14.mp4"), 0, 150)[::3]
    assert blinks(readings_of(frames, engine.detector, fps=25 / 3))


@needs_shared_data
def test_an_open_mouth_in_a_photograph_shaken_most_of_the_time_does_not_speak(
    engine: FaceRecognitionEngine, mesh: FaceMesh
) -> None:
    photograph = framed(read_image(data_file("lfw/images/Rick_Perry/Rick_Perry_0001.jpg")), mesh, (360, 288))
    shaken = np.asarray(cv2.blur(photograph, (1, 9)), np.uint8)
    sharp, blurred = readings_of([photograph, shaken], engine.detector, fps=10)
    assert blurred.mouth_opening < sharp.mouth_opening / 2, "the blur seems to close the mouth"
    assert not speaks(timed(([blurred] * 3 + [sharp] * 2) * 6))
    assert not speaks(timed(([blurred] * 5 + [sharp] * 2) * 5))


def test_readings_are_measures_of_the_face(mesh: FaceMesh, good_picture: RgbImage) -> None:
    (face,) = mesh.process(good_picture)
    reading = read_face(face, 0.03, 0.9, 1_234, face_box(face, good_picture))
    assert (reading.at_ms, reading.sharpness, reading.live_score) == (1_234, 0.03, 0.9)
    assert reading.yaw == pytest.approx(face.pose.yaw, abs=0.01)
    assert reading.pitch == pytest.approx(face.pose.pitch, abs=0.01)
    assert 0.15 < reading.eye_opening < 0.6
    assert replace(face, blink_left=0.9, blink_right=0.2).blink_left == 0.9
    assert read_face(replace(face, blink_left=0.9, blink_right=0.2), 0.03, None, 0, OPEN.box).blink == 0.2
    larger = read_face(replace(face, points=face.points * 3), 0.03, 0.9, 1_234, OPEN.box)
    assert larger.eye_opening == pytest.approx(reading.eye_opening, abs=1e-3)
    assert larger.mouth_opening == pytest.approx(reading.mouth_opening, abs=1e-3)


def test_lids_that_close_make_a_sharp_face_duller_and_blink_all_the_same() -> None:
    closed = replace(CLOSED, sharpness=0.61 * OPEN.sharpness)
    assert blinks(timed([OPEN] * 5 + [closed] * 2 + [OPEN] * 2))
    blurred = replace(CLOSED, sharpness=0.55 * OPEN.sharpness)
    assert not blinks(timed([OPEN] * 5 + [blurred] * 2 + [OPEN] * 2))


def test_open_closed_open_is_a_blink() -> None:
    assert blinks(timed([OPEN] * 5 + [CLOSED] * 2 + [OPEN]))


def test_eyes_that_stay_closed_have_not_blinked() -> None:
    assert not blinks(timed([OPEN] * 5 + [CLOSED] * 9))


def test_eyes_closed_for_longer_than_a_second_have_not_blinked() -> None:
    assert blinks(timed([OPEN] * 5 + [CLOSED] * 10 + [OPEN]))
    assert not blinks(timed([OPEN] * 5 + [CLOSED] * 11 + [OPEN]))


def test_eyes_that_were_never_seen_open_have_not_blinked() -> None:
    assert not blinks(timed([CLOSED] * 5 + [OPEN] * 5))
    assert not blinks(timed([OPEN, OPEN, CLOSED, OPEN]))


@pytest.mark.parametrize(
    "half", [replace(OPEN, blink=0.6), replace(OPEN, eye_opening=0.1), replace(OPEN, blink=0.3, eye_opening=0.1)]
)
def test_lids_and_coefficient_must_agree(half: FaceReading) -> None:
    assert not blinks(timed([OPEN] * 5 + [half] * 2 + [OPEN] * 3))


@pytest.mark.parametrize(
    "elsewhere", [{"yaw": 10.0}, {"pitch": -10.0}, {"sharpness": 0.015}], ids=["turned", "nodded", "blurred"]
)
def test_eyes_that_close_only_while_head_or_picture_moves_have_not_blinked(elsewhere: dict[str, float]) -> None:
    moved = replace(CLOSED, **elsewhere)  # type: ignore[arg-type]
    assert not blinks(timed([OPEN] * 8 + [moved] * 2 + [OPEN] * 3))


def test_eyes_seen_from_the_side_do_not_count() -> None:
    aside, shut = replace(OPEN, yaw=25.0), replace(CLOSED, yaw=25.0)
    assert not blinks(timed([aside] * 5 + [shut] * 2 + [aside] * 3))


def test_a_blink_stays_seen() -> None:
    assert blinks(timed([OPEN] * 5 + [CLOSED] * 2 + [OPEN] + [LEFT] * 30))


def test_a_mouth_that_opens_and_closes_speaks() -> None:
    assert speaks(timed([OPEN, OPEN, OPEN, TALKING, TALKING, TALKING] * 2))


def test_a_mouth_that_opens_once_does_not() -> None:
    assert not speaks(timed([OPEN] * 10 + [replace(OPEN, mouth_opening=0.22)] * 10))


def test_a_mouth_that_stays_half_open_does_not() -> None:
    wide, wider = replace(OPEN, mouth_opening=0.3), replace(OPEN, mouth_opening=0.55)
    assert not speaks(timed([wide] * 3 + [wider] * 3 + [wide] * 3 + [wider] * 3))


def test_two_odd_readings_do_not_make_speech() -> None:
    assert not speaks(timed([OPEN] * 5 + [TALKING] + [OPEN] * 5 + [TALKING] + [OPEN] * 5))


def test_a_mouth_is_compared_only_while_the_head_is_steady() -> None:
    assert not speaks(timed(([OPEN] * 4 + [replace(TALKING, pitch=10.0)] * 3) * 3))


def test_speech_is_not_put_together_from_minutes() -> None:
    slowly = [OPEN, OPEN, OPEN, TALKING, TALKING, TALKING] * 3
    assert speaks(timed(slowly, step_ms=200))
    assert not speaks(timed(slowly, step_ms=1_000))


def scored(*scores: float | None) -> SpoofCue:
    cue = SpoofCue()
    for score in scores:
        cue.observe(replace(OPEN, live_score=score), 0.5)
    return cue


def test_three_scores_pass_by_their_median() -> None:
    assert scored(0.9, 0.1, 0.9).passed
    assert scored(0.5, 0.5, 0.5).passed
    assert not scored(0.9, 0.1, 0.1).passed
    assert not scored(0.9, 0.9).passed
    assert not scored(0.9, None, None, 0.9).passed


def test_six_scores_refuse_by_their_median() -> None:
    assert scored(0.1, 0.1, 0.1, 0.1, 0.9, 0.9).refused
    assert not scored(0.1, 0.1, 0.1, 0.1, 0.1).refused
    assert not scored(0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9).refused
    assert not scored().refused


def grids(*moires: float | None) -> MoireCue:
    cue = MoireCue()
    for moire in moires:
        cue.observe(replace(OPEN, moire=moire))
    return cue


def test_a_grid_in_a_quarter_of_the_frames_is_refused() -> None:
    """A display's grid comes and goes as it is moved; a single peak is noise."""
    assert grids(1.0, 1.0, 1.0).passed
    assert not grids(1.0, 1.0).passed
    assert not grids(1.0, MOIRE, MOIRE).passed
    assert not grids(1.0, MOIRE, MOIRE).refused
    assert grids(*[1.0] * 5, *[MOIRE] * 3).refused
    assert not grids(*[1.0] * 6, *[MOIRE] * 2).refused
    assert grids(*[1.0] * 6, *[MOIRE] * 2).passed


def test_a_grid_that_could_not_be_looked_at_never_passes() -> None:
    assert not grids(*[None] * 50).passed
    cue = grids(None, 1.0, None, 1.0)
    for _ in range(50):
        cue.observe(replace(OPEN, moire=None))
    assert not cue.passed


def test_blinks_are_counted() -> None:
    cue = BlinkCue()
    for reading in timed([OPEN] * 5 + ([CLOSED] * 2 + [OPEN] * 4) * 3):
        cue.observe(reading)
    assert cue.count == 3
