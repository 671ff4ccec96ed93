"""The bench counts correctly, reads its recordings back unchanged, and a tiny run gives a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from bench.pad import __main__, observe, rates, report
from bench.pad import tries as pad_tries
from bench.pad.observe import Recording, Task
from core.face_recognition_engine import FaceRecognitionEngine
from core.features.values import FrameSamples
from core.liveness.policy import Policy
from core.types import RgbImage
from recognition.streaming.sight import fingerprint_of
from testkit import clips
from testkit.attacks import ATTACKS, BONA_FIDE, MAKERS, RESPONDING, Stream
from testkit.attacks.stage.meshes import mesh
from testkit.recognised import recognised
from testkit.recorded_sight import RecordedSight

needs_data = pytest.mark.skipif(
    not clips.shared_data_available(), reason=f"no shared data in {clips.SHARED_DATA} (SHARED_DATA_DIR)"
)
SPECIES = {"still": 25, "bona_fide": 60}
"""Species, and the number of their frames that are observed: enough for the decision."""


@pytest.fixture(scope="module")
def recordings(engine: FaceRecognitionEngine) -> Iterator[dict[Task, Recording]]:
    wanted = pad_tries.tasks("tuning", list(SPECIES), 1, [Policy.PASSIVE])
    yield {task: observe.record(engine, task.split, _beginning(task), task.part) for task in wanted}
    mesh().close()
    mesh.cache_clear()


def _beginning(task: Task) -> Stream:
    stream = MAKERS[task.species](task.split, task.index)
    return replace(stream, frames=lambda: islice(stream.frames(), SPECIES[task.species]))


def try_of(species: str, *, success: bool, responded: bool = True, seconds: float = 2.0) -> pad_tries.Try:
    reason = None if success else "spoof_suspected"
    return pad_tries.Try("passive", species, "Ann", 0, success, reason, responded, seconds)


def test_an_attack_that_ends_without_a_decision_is_no_error() -> None:
    tries = [try_of("print", success=True), try_of("print", success=False, responded=False, seconds=9.0)]
    row = rates.row(Policy.PASSIVE, "print", tries)
    assert (row.errors, row.error, row.non_response, row.people) == (1, 0.5, 0.5, 1)
    assert row.p95_s == 2.0


def test_a_real_person_who_is_refused_is_an_error_and_one_who_is_not_decided_is_not() -> None:
    tries = [try_of("bona_fide", success=s, responded=r) for s, r in ((True, True), (False, True), (False, False))]
    row = rates.row(Policy.PASSIVE, "bona_fide", tries)
    assert row.errors == 1
    assert row.non_response == pytest.approx(1 / 3)
    assert row.reasons == {"accepted": 1, "spoof_suspected": 2}


def test_every_species_is_shown_to_some_policy() -> None:
    for species in (*ATTACKS, *BONA_FIDE):
        assert any(pad_tries.part_for(species, policy) for policy in Policy)
    assert {pad_tries.part_for(species, Policy.ACTIVE) for species in RESPONDING} == {"takes"}


@needs_data
def test_a_stream_is_tried_with_several_challenges_where_it_is_asked(
    recordings: dict[Task, Recording], tmp_path: Path
) -> None:
    ((task, recording),) = ((task, one) for task, one in recordings.items() if task.species == "still")
    observe.save(recording, tmp_path / "one.npz")
    tries = pad_tries.play_all({task: tmp_path / "one.npz"}, [Policy.PASSIVE, Policy.STRICT], draws=3)
    assert {row.policy: row.tries for row in rates.rows_of(tries)} == {"passive": 1, "strict": 3}
    asked = {str(flow.liveness.challenge) for n in range(9) if (flow := pad_tries.begin(recording, Policy.STRICT, n))}
    assert len(asked) > 1


@needs_data
def test_a_recording_comes_back_as_it_was(recordings: dict[Task, Recording], tmp_path: Path) -> None:
    (recording,) = (recording for task, recording in recordings.items() if task.species == "bona_fide")
    observe.save(recording, tmp_path / "one.npz")
    again = observe.load(tmp_path / "one.npz")
    assert replace(again, shown={}) == replace(recording, shown={})
    for seen, back in zip(recording.shown["frames"], again.shown["frames"], strict=True):
        assert _without_arrays(back) == _without_arrays(seen)
        for field in fields(FrameSamples):
            np.testing.assert_array_equal(
                getattr(back.frame_samples(), field.name), getattr(seen.frame_samples(), field.name)
            )
        assert seen.face is not None
        assert back.face is not None
        np.testing.assert_allclose(back.face.mesh.points, seen.face.mesh.points, atol=0.02)
        one, other = (s.reading(0, scored=True, tinted=True) for s in (back, seen))
        assert one.eye_opening == pytest.approx(other.eye_opening, abs=2e-3)
        assert (one.live_score, one.moire, one.tint) == (other.live_score, other.moire, other.tint)
        assert float(recognised(back.embedding()) @ recognised(seen.embedding())) > 0.9999
        assert float(back.appearance() @ seen.appearance()) > 0.9999
    assert pad_tries.play(again, Policy.PASSIVE) == pad_tries.play(recording, Policy.PASSIVE)


def _without_arrays(seen: RecordedSight) -> tuple[object, ...]:
    return seen.size, seen.sha256, seen.quality, seen.box


def test_a_recording_of_faces_and_empty_frames_keeps_each_to_its_own(
    engine: FaceRecognitionEngine, astronaut_rgb: RgbImage, hopper_rgb: RgbImage, tmp_path: Path
) -> None:
    frames = [astronaut_rgb, np.zeros_like(astronaut_rgb), hopper_rgb, np.zeros_like(astronaut_rgb), astronaut_rgb]
    stream = Stream("still", "Ann", 0, lambda: iter(frames), claims=lambda: hopper_rgb)
    recording = observe.record(engine, "tuning", stream, "frames")
    observe.save(recording, tmp_path / "one.npz")
    again = observe.load(tmp_path / "one.npz").shown["frames"]
    assert [seen.face is None for seen in again] == [False, True, False, True, False]
    assert fingerprint_of(again[0], 7) == fingerprint_of(recording.shown["frames"][0], 7) == fingerprint_of(again[4], 7)
    assert len({seen.sha256 for seen in again}) == 3
    for seen, back in zip(recording.shown["frames"], again, strict=True):
        assert (back.size, back.quality, back.face is None) == (seen.size, seen.quality, seen.face is None)
        if back.face is not None and seen.face is not None:
            assert back.face.moire == seen.face.moire
            np.testing.assert_array_equal(back.face.frame_samples.thumbnail, seen.face.frame_samples.thumbnail)


def test_a_recording_that_older_code_wrote_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def path() -> Path:
        observe._digest.cache_clear()
        return Task("tuning", "still", 0, "frames").path

    now = path()
    assert path() == now
    monkeypatch.setattr(observe, "VERSION", observe.VERSION - 1)
    assert path() != now
    observe._digest.cache_clear()


@needs_data
def test_a_tiny_run_prints_and_writes_a_report(
    recordings: dict[Task, Recording],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(observe, "CACHE", tmp_path / "cache")
    for task, recording in recordings.items():
        observe.save(recording, task.path)
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    arguments = ["--species", ",".join(SPECIES), "--count", "1", "--policy", "none,passive"]
    assert __main__.main([*arguments, "--html", str(page), "--json", str(figures)]) == 0
    printed = capsys.readouterr().out
    assert "not certified" in printed.lower()
    rows = {(row["policy"], row["species"]): row for row in json.loads(figures.read_text())["rows"]}
    assert rows["none", "still"]["error"] == 1.0
    assert rows["passive", "still"]["error"] == 0.0
    assert rows["passive", "bona_fide"]["error"] == 0.0
    html = page.read_text()
    assert html.count("data:image/png") == len(report.CUES) + 2
    assert html.count("data:image/jpeg") == len(SPECIES)
    assert "http" not in html


def test_an_unknown_species_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["--species", "hologram"])
    assert "unknown: hologram" in capsys.readouterr().err
