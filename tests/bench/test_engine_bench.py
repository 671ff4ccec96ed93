"""The engine bench times the named stages alternately, and detects a missed bar."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from bench import cli
from bench.engine import __main__
from bench.engine import run as engine_run
from bench.engine.frames import HEIGHT, SESSION_FRAMES, WIDTH, Clip, Walk, as_webcam, clip_of
from bench.engine.pools import (
    POOL_SIZES,
    Subject,
    Throughput,
    Walker,
    drive,
    figures_of,
    median_ratio,
    one_round,
    pools_table,
)
from bench.engine.report import (
    FACE_LANDMARKER,
    LEGACY,
    MESHES,
    PASSIVE,
    PASSIVE_LANDMARKER,
    Ratio,
    Report,
    Stage,
    ratios_of,
    stages_table,
    text,
)
from bench.engine.sessions import MeshWalker, SessionWalker
from bench.engine.stages import ASIDE, Clock, StageBench, stages_of
from bench.legacy.baseline import INSTANCES, LegacyError, LegacyResult
from core.types import Detail, RgbImage
from recognition.worker import Worker
from tests.conftest import needs_shared_data
from vocabulary.sessions import Purpose

LIGHT = MESHES[Detail.LIGHT]
SECOND = Throughput(frames=100, found=99, seconds=1.0, cpu_s=0.8)


def throughput(per_s: float, per_core: float) -> Throughput:
    return Throughput(1000, 1000, seconds=1000 / per_s, cpu_s=1000 / per_core)


def spin(seconds: float) -> None:
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


def test_a_stage_counts_what_it_does_itself() -> None:
    clock = Clock()

    def outer() -> str:
        clock.time("inner", spin, 0.02)
        clock.time("inner", spin, 0.02)
        spin(0.01)
        return "done"

    assert clock.time("outer", outer) == "done"
    assert [round(sample / 20) for sample in clock.samples_ms["inner"]] == [1, 1]
    assert 9 < clock.samples_ms["outer"][0] < 20


def test_the_clock_sees_other_threads() -> None:
    clock = Clock()

    def elsewhere() -> None:
        thread = threading.Thread(target=spin, args=(0.02,))
        thread.start()
        thread.join()

    clock.time("process", elsewhere)
    assert clock.samples_ms["process"][0] > 19


def test_stages_have_medians_and_their_share_of_a_frame() -> None:
    beside = next(iter(ASIDE))
    decode, other = stages_of({"decode": [1.0, 2.0, 9.0], beside: [5.0]}, frames=6)
    assert (decode.median_ms, decode.calls, decode.ms_per_frame) == (2.0, 0.5, 2.0)
    assert (other.median_ms, other.calls, other.ms_per_frame) == (5.0, None, None)


def test_the_table_of_stages_has_their_sum_before_what_is_beside() -> None:
    stages = [Stage("beside", 5.0, 6.0, None, None), Stage("a", 1.0, 1.5, 1.0, 1.0), Stage("b", 4.0, 5.0, 0.5, 2.0)]
    lines = stages_table(stages).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "a", "beside"]
    assert lines[3].split()[-1] == "3.00"
    assert lines[4].split()[-2:] == ["-", "-"]


@pytest.mark.parametrize(
    ("shape", "face"),
    [
        ((288, 360), (144, 180)),
        ((512, 512), (256, 256)),
        ((480, 640), (240, 320)),
        ((100, 1000), (50, 500)),
        ((908, 480), (317, 240)),
    ],
)
def test_a_webcam_sees_the_face_in_any_picture(shape: tuple[int, int], face: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[face] = 255
    seen = as_webcam(picture)
    assert seen.shape == (HEIGHT, WIDTH, 3)
    bright = np.argwhere(seen[:, :, 0] > 0).mean(axis=0)
    assert bright == pytest.approx((HEIGHT / 2, WIDTH / 2), abs=8)


def named_clip(name: str, length: int) -> Clip:
    return Clip(name, [f"{name}{number}".encode() for number in range(length)], [])


def test_a_walk_goes_through_clip_after_clip_from_its_own() -> None:
    walk = Walk([named_clip("a", SESSION_FRAMES), named_clip("b", 3)], first=1)
    begins = [(walk.step(), walk.jpeg) for _ in range(SESSION_FRAMES + 1)]
    assert begins[:5] == [(True, b"b0"), (False, b"b1"), (False, b"b2"), (False, b"b1"), (False, b"b0")]
    assert begins[-1] == (True, b"a0")
    walk.skip_to_next_clip()
    assert (walk.step(), walk.jpeg) == (False, b"b1")


class CountingWalker:
    """A walker that counts its frames; every second one shows a face."""

    def __init__(self) -> None:
        self.frames = 0
        self.threads: set[int] = set()

    def __call__(self) -> bool:
        self.frames += 1
        self.threads.add(threading.get_ident())
        spin(0.001)
        return self.frames % 2 == 0


def test_walkers_work_side_by_side_and_are_counted() -> None:
    walkers = [CountingWalker() for _ in range(3)]
    measured = drive(walkers, 0.1)
    assert measured.frames == sum(walker.frames for walker in walkers)
    assert measured.found == sum(walker.frames // 2 for walker in walkers)
    assert len(set.union(*(walker.threads for walker in walkers))) == 3
    assert measured.seconds >= 0.1
    assert measured.cpu_s > 0


def test_what_a_walker_raises_comes_out() -> None:
    def fails() -> bool:
        raise RuntimeError("no frame")

    with pytest.raises(RuntimeError, match="no frame"):
        drive([fails, CountingWalker()], 0.01)


def test_subjects_take_turns_at_every_size() -> None:
    walkers = {name: [CountingWalker() for _ in range(max(POOL_SIZES))] for name in ("a", "b")}
    measured = one_round([Subject(name, own) for name, own in walkers.items()], 0.01)
    assert list(measured) == [(name, size) for size in POOL_SIZES for name in ("a", "b")]
    assert all(walker.frames for walker in walkers["a"])


def test_figures_are_medians_of_the_rounds() -> None:
    slow, usual, fast = (replace(SECOND, frames=frames, found=frames) for frames in (10, 100, 110))
    (figures,) = figures_of({("mesh", 4): [slow, usual, fast]})
    assert (figures.per_s, figures.per_core, figures.cores, figures.found) == (100.0, 125.0, 0.8, 1.0)
    heads, row = pools_table([figures]).splitlines()
    assert len(heads) == len(row)
    assert row.split() == ["mesh", "4", "100.0", "125.0", "8.00", "0.80", "100%"]


def test_a_disturbed_round_disturbs_both_sides_of_a_ratio() -> None:
    assert median_ratio([30.0, 6.0, 33.0], [10.0, 2.0, 10.0]) == 3.0


def rounds(pool: float, legacy: float | None) -> dict[tuple[str, int], list[Throughput]]:
    """Three alike: all make 100 frames a second of a core, and `pool` those of the light mesh in a large pool."""
    names = (*MESHES.values(), FACE_LANDMARKER, PASSIVE, PASSIVE_LANDMARKER)
    measured = {(name, size): throughput(100.0, 100.0) for name in names for size in POOL_SIZES}
    measured[LIGHT, INSTANCES] = throughput(pool, 100.0)
    if legacy is not None:
        measured[LEGACY, INSTANCES] = throughput(legacy, 100.0)
    return {key: [one] * 3 for key, one in measured.items()}


def missed(light_ms: float, pool: float, legacy: float | None) -> list[str]:
    median_ms = {MESHES[Detail.FULL]: 6.0, LIGHT: light_ms, FACE_LANDMARKER: 12.0}
    stages = [Stage(name, median, median, None, None) for name, median in median_ms.items()]
    return [ratio.subject for ratio in ratios_of(stages, rounds(pool, legacy)) if ratio.missed]


def test_the_bars() -> None:
    assert missed(light_ms=3.9, pool=210.0, legacy=100.0) == []
    assert missed(light_ms=4.1, pool=210.0, legacy=100.0) == [LIGHT]
    assert missed(light_ms=3.9, pool=190.0, legacy=100.0) == [f"pool of {INSTANCES}, {LIGHT}"]
    assert missed(light_ms=3.9, pool=1.0, legacy=None) == []


def test_ratios_are_told_in_words() -> None:
    plain = Ratio("tracked mesh light", "FaceLandmarker", "frames/s per core", 5.61)
    assert str(plain) == "tracked mesh light: 5.6 x FaceLandmarker (frames/s per core)"
    assert str(replace(plain, least=3.0)).endswith("; the bar is 3 x: reached")
    assert str(replace(plain, value=2.9, least=3.0)).endswith("; the bar is 3 x: missed")


def report(ratio: Ratio) -> Report:
    return Report([Stage("decode", 1.0, 1.5, 1.0, 1.0)], figures_of({("mesh", 1): [SECOND]}), [ratio])


REACHED = Ratio(LIGHT, FACE_LANDMARKER, "frames/s per core", 3.5, 3.0)


def test_a_report_is_tables_and_ratios() -> None:
    stages, pools, ratios = text(report(REACHED)).split("\n\n")
    assert "decode" in stages
    assert "mesh" in pools
    assert ratios == str(REACHED)


@pytest.fixture
def bench_that_finds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Report | LegacyError]]:
    """Queue of results of the next runs; Django is not set up."""
    found: list[Report | LegacyError] = []

    def run(*args: object, **kwargs: object) -> Report:
        result = found.pop()
        if isinstance(result, LegacyError):
            raise result
        return result

    monkeypatch.setattr(cli, "shared_data_available", lambda: True)
    monkeypatch.setattr(__main__, "_set_up_django", lambda directory: None)
    monkeypatch.setattr(engine_run, "run", run)
    yield found
    assert not found


def test_the_exit_tells_of_a_missed_bar(
    bench_that_finds: list[Report | LegacyError], capsys: pytest.CaptureFixture[str]
) -> None:
    bench_that_finds.append(report(REACHED))
    assert __main__.main(["--no-legacy"]) == 0
    bench_that_finds.append(report(replace(REACHED, value=2.0)))
    assert __main__.main(["--json"]) == 1
    assert '"missed"' not in capsys.readouterr().err
    bench_that_finds.append(LegacyError("no index"))
    assert __main__.main([]) == 2
    assert "no index; --no-legacy goes without it" in capsys.readouterr().err


def test_without_clips_it_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "shared_data_available", lambda: False)
    assert __main__.main([]) == 2


def test_the_legacy_result_is_one_of_ours() -> None:
    result = LegacyResult(
        frames=600,
        found=598,
        frames_per_second=120.0,
        cpu_ms_per_frame=8.0,
        wall_ms_per_frame=16.5,
        cores=0.96,
        process_threads=20,
        rss_mb=291.5,
    )
    ours = engine_run._as_ours(result)
    assert (ours.per_s, ours.per_core, ours.found) == (120.0, 125.0, 598)


@pytest.fixture(scope="module")
def clip(enrolled_clip: list[RgbImage]) -> Clip:
    return clip_of("pwij3p", enrolled_clip[:12])


@needs_shared_data
def test_walkers_see_the_face_of_a_clip(worker: Worker, clip: Clip) -> None:
    walkers: list[Walker] = [
        *(MeshWalker(worker, detail, [clip], 0) for detail in Detail),
        *(SessionWalker(worker, purpose, [clip], 0) for purpose in (Purpose.ENROLLMENT, Purpose.SANDBOX)),
    ]
    assert all(walker() for walker in walkers for _ in range(4))
    assert worker.engine.pool_status().in_use == 0


@needs_shared_data
def test_every_stage_of_a_session_is_timed(worker: Worker, clip: Clip) -> None:
    with StageBench(worker) as bench:
        stages = {stage.name: stage for stage in bench.measure([clip])}
    always = ("decode", "align, quality", "hash, reading", "weighing")
    assert [stages[name].calls for name in always] == [1.0] * 4
    mesh = [stage for name, stage in stages.items() if name.startswith("mesh, ")]
    assert sum(stage.calls or 0.0 for stage in mesh) == pytest.approx(1.0)
    assert {"anti-spoof", "moire", "frame samples", "appearance", "embedding", "checkpoint"} <= stages.keys()
    assert stages.keys() >= ASIDE
    assert all(stage.median_ms > 0 for stage in stages.values())
