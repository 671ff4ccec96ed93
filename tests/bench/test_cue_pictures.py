"""Every cue has its picture, made of numbers alone, and the documentation's folder holds these and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import cue_pictures, observe
from bench.observe import Recording, Task
from core.face_recognition_engine import FaceRecognitionEngine
from core.frames import ImageLimits
from core.liveness.limits import FORWARD_READINGS
from core.liveness.repetition import difference
from core.traces import moire_peak
from core.types import RgbImage
from tools.attacks import Stream
from tools.clips import encode_jpeg

FRAMES = 22
SPECTRA_AND_MATRICES = {"moire", "repetition"}


@pytest.fixture(scope="module")
def recordings(engine: FaceRecognitionEngine, hopper_rgb: RgbImage) -> dict[Task, Recording]:
    """One portrait that sways stands for all streams, as they run and as they answer."""
    frames = [np.roll(hopper_rgb, at % 5, axis=1) for at in range(FRAMES)]
    seen = observe.record(engine, "tuning", Stream("still", "Grace", 0, lambda: iter(frames)), "frames")
    takes = {f"0/{action}": seen.shown["frames"] for action in ("neutral", "blink", "open_mouth")}
    shown = {"frames": seen, "takes": replace(seen, shown=takes, stages=1)}
    return {task: replace(shown[task.part], species=task.species) for task in cue_pictures.tasks()}


def test_every_cue_has_its_picture_and_no_picture_is_a_photograph(
    recordings: dict[Task, Recording], hopper_rgb: RgbImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cue_pictures, "picture_of", lambda recording, number: hopper_rgb)
    paths = cue_pictures.write(tmp_path, recordings)
    texts = {path.stem: path.read_text() for path in paths}
    assert set(tmp_path.iterdir()) == set(paths)
    assert set(texts) == set(cue_pictures.PICTURES)
    assert all("</svg>" in text and "<dc:date>" not in text for text in texts.values())
    assert {name for name, text in texts.items() if "<image" in text} == SPECTRA_AND_MATRICES


def test_the_same_numbers_give_the_same_bytes(
    recordings: dict[Task, Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cue_pictures, "PICTURES", {"repetition": cue_pictures.PICTURES["repetition"]})
    (once,), (again,) = (cue_pictures.write(tmp_path / name, recordings) for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


def test_the_documentation_has_these_pictures_and_no_others() -> None:
    files = list(cue_pictures.FOLDER.iterdir())
    assert {file.name for file in files} == {f"{name}.svg" for name in cue_pictures.PICTURES}
    assert all(1_000 < file.stat().st_size < 120_000 for file in files)


def test_only_tuning_people_are_shown() -> None:
    assert {task.split for task in cue_pictures.tasks()} == {"tuning"}


def test_the_spectrum_is_the_one_that_the_service_looks_at(engine: FaceRecognitionEngine, hopper_rgb: RgbImage) -> None:
    face = engine.look(encode_jpeg(hopper_rgb), ImageLimits(max_bytes=10**7, max_pixels=10**7)).face
    assert face is not None
    assert np.nanmax(cue_pictures.standing_out(hopper_rgb, face)) == moire_peak(hopper_rgb, face)


def test_the_matrix_holds_what_the_cue_compares() -> None:
    track = np.random.default_rng(5).normal(size=(24, 8)) * 5
    found = cue_pictures.differences(track)
    for end in range(2 * FORWARD_READINGS, len(track) + 1):
        newest = found[end - FORWARD_READINGS]
        assert np.nanmin(newest) == pytest.approx(difference(track[:end], FORWARD_READINGS, reverse=False))
