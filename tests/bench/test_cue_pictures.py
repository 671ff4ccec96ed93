"""Every cue has a picture drawn from numbers only, and the documentation's folder holds exactly these."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from bench.cues import __main__, frames
from bench.cues.moments import differences
from bench.pad import observe
from bench.pad.observe import Recording, Task
from core.face_recognition_engine import FaceRecognitionEngine
from core.liveness.limits import FORWARD_READINGS, LIGHT_AGREEMENT, LIGHT_COLOURS
from core.liveness.repetition import difference
from core.types import RgbImage
from testkit.attacks import Stream

FRAMES = 22
LIT = 4
"""Repetitions of the frames, until all colours are answered."""
SPECTRA_AND_MATRICES = {"moire", "repetition"}


@pytest.fixture(scope="module")
def stream(hopper_rgb: RgbImage) -> Stream:
    """A portrait that sways."""
    return Stream("still", "Grace", 0, lambda: (np.roll(hopper_rgb, at % 5, axis=1) for at in range(FRAMES)))


@pytest.fixture(scope="module")
def recordings(engine: FaceRecognitionEngine, stream: Stream) -> dict[Task, Recording]:
    """A recording that stands in for all streams, with fixed frames and takes."""
    seen = observe.record(engine, "tuning", stream, "frames")
    takes = {f"0/{action}": seen.shown["frames"] for action in ("neutral", "blink", "open_mouth")}
    shown = {"frames": seen, "takes": replace(seen, shown=takes, stages=1)}
    return {task: replace(shown[task.part], species=task.species) for task in __main__.tasks()}


def test_every_cue_has_its_picture_and_no_picture_is_a_photograph(
    recordings: dict[Task, Recording], stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "stream_of", lambda recording: stream)
    paths = __main__.write(tmp_path, recordings)
    texts = {path.stem: path.read_text() for path in paths}
    assert set(tmp_path.iterdir()) == set(paths)
    assert set(texts) == set(__main__.PICTURES)
    assert all("</svg>" in text and "<dc:date>" not in text for text in texts.values())
    assert {name for name, text in texts.items() if "<image" in text} == SPECTRA_AND_MATRICES


def test_the_same_numbers_give_the_same_bytes(
    recordings: dict[Task, Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__main__, "PICTURES", {"repetition": __main__.PICTURES["repetition"]})
    (once,), (again,) = (__main__.write(tmp_path / name, recordings) for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


def test_the_documentation_has_these_pictures_and_no_others() -> None:
    files = list(__main__.FOLDER.iterdir())
    assert {file.name for file in files} == {f"{name}.svg" for name in __main__.PICTURES}
    assert all(1_000 < file.stat().st_size < 120_000 for file in files)


def test_only_tuning_people_are_shown() -> None:
    assert {task.split for task in __main__.tasks()} == {"tuning"}


def test_the_matrix_holds_what_the_cue_compares() -> None:
    track = np.random.default_rng(5).normal(size=(24, 8)) * 5
    found = differences(track)
    for end in range(2 * FORWARD_READINGS, len(track) + 1):
        newest = found[end - FORWARD_READINGS]
        assert np.nanmin(newest) == pytest.approx(difference(track[:end], FORWARD_READINGS, reverse=False))


def test_the_face_is_seen_to_take_on_the_colours_only_where_it_does(
    recordings: dict[Task, Recording], stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = replace(stream, frames=lambda: chain.from_iterable(stream.frames() for _ in range(LIT)))
    monkeypatch.setattr(frames, "stream_of", lambda recording: longer)
    (recording,) = (recordings[task] for task in __main__.PICTURES["light"].tasks)
    recording = replace(recording, shown={"frames": [*recording.shown["frames"]] * LIT})
    lit, unlit = (frames.glowing(recording, share) for share in (0.08, 0.0))
    answered, agreements = [glow for glow in lit if glow.answer], [glow.agreement for glow in lit if glow.agreement]
    assert len(answered) >= LIGHT_COLOURS
    assert all(glow.measured for glow in answered)
    assert min(agreements) >= LIGHT_AGREEMENT
    assert {glow.agreement for glow in unlit} == {None, 0.0}
