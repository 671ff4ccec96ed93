"""Results of the engine bench, the bars that they must reach, and both as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.engine.pools import PoolFigures, Rounds, median_ratio, pools_table
from bench.legacy.baseline import INSTANCES
from bench.load.tables import number, table
from core.types import Detail

FACE_LANDMARKER = "FaceLandmarker"
MESHES = {detail: f"tracked mesh {detail}" for detail in Detail}
PASSIVE, PASSIVE_LANDMARKER, SANDBOX = "passive frame", "passive frame with FaceLandmarker", "sandbox frame"
LEGACY_THREADS = 4
LEGACY = f"legacy FaceMesh, {LEGACY_THREADS} threads"
MESH_BAR, POOL_BAR = 3.0, 2.0
PER_CORE, PER_S = "frames/s per core", "frames/s"


@dataclass(frozen=True, slots=True)
class Stage:
    """CPU time of one call of a stage. `calls` and `ms_per_frame` are means over a session's frames, None for stages
    that no session runs."""

    name: str
    median_ms: float
    p95_ms: float
    calls: float | None
    ms_per_frame: float | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio to a baseline. `least`: the bar that it must reach, None where there is none."""

    subject: str
    baseline: str
    unit: str
    value: float
    least: float | None = None

    @property
    def missed(self) -> bool:
        return self.least is not None and self.value < self.least

    def __str__(self) -> str:
        line = f"{self.subject}: {self.value:.1f} x {self.baseline} ({self.unit})"
        if self.least is None:
            return line
        return f"{line}; the bar is {self.least:g} x: {'missed' if self.missed else 'reached'}"


@dataclass(frozen=True, slots=True)
class Report:
    stages: Sequence[Stage]
    pools: Sequence[PoolFigures]
    ratios: Sequence[Ratio]

    @property
    def missed(self) -> bool:
        return any(ratio.missed for ratio in self.ratios)


def ratios_of(stages: Sequence[Stage], rounds: Rounds) -> list[Ratio]:
    legacy = _against_legacy(rounds) if (LEGACY, INSTANCES) in rounds else ()
    return [*_by_stage(stages), *_against_landmarker(rounds), *legacy]


def _by_stage(stages: Sequence[Stage]) -> Iterator[Ratio]:
    """Ratios of stages, each measured on the same frames in turn: a disturbance affects all of them."""
    median_ms = {stage.name: stage.median_ms for stage in stages}
    for subject in MESHES.values():
        value = median_ms[FACE_LANDMARKER] / median_ms[subject]
        yield Ratio(subject, FACE_LANDMARKER, PER_CORE, value, _bar(subject, MESH_BAR))


def _against_landmarker(rounds: Rounds) -> Iterator[Ratio]:
    """Ratios of pools of one, which include the occasional detection."""
    pairs = dict.fromkeys(MESHES.values(), FACE_LANDMARKER) | {PASSIVE: PASSIVE_LANDMARKER}
    for subject, baseline in pairs.items():
        value = median_ratio(*([one.per_core for one in rounds[name, 1]] for name in (subject, baseline)))
        yield Ratio(f"pool of 1, {subject}", baseline, PER_CORE, value)


def _against_legacy(rounds: Rounds) -> Iterator[Ratio]:
    """Ratios of whole pools of the legacy pool's size."""
    for subject in (*MESHES.values(), FACE_LANDMARKER):
        ours, theirs = (rounds[name, INSTANCES] for name in (subject, LEGACY))
        pool = f"pool of {INSTANCES}, {subject}"
        per_s = median_ratio([one.per_s for one in ours], [one.per_s for one in theirs])
        per_core = median_ratio([one.per_core for one in ours], [one.per_core for one in theirs])
        yield Ratio(pool, LEGACY, PER_S, per_s, _bar(subject, POOL_BAR))
        yield Ratio(pool, LEGACY, PER_CORE, per_core)


def _bar(subject: str, bar: float) -> float | None:
    return bar if subject == MESHES[Detail.LIGHT] else None


def text(report: Report) -> str:
    blocks = [stages_table(report.stages), pools_table(report.pools), "\n".join(map(str, report.ratios))]
    return "\n\n".join(blocks)


def stages_table(stages: Sequence[Stage]) -> str:
    """Table of a session's stages with their sum, then of those measured beside it."""
    session = [stage for stage in stages if stage.ms_per_frame is not None]
    beside = [stage for stage in stages if stage.ms_per_frame is None]
    total = sum(stage.ms_per_frame or 0.0 for stage in session)
    rows = [*map(_cells, session), ["a passive frame", "", "", "", number(total, 2)], *map(_cells, beside)]
    return table(("stage", "median ms", "p95 ms", "calls per frame", "ms per frame"), rows)


def _cells(stage: Stage) -> list[str]:
    return [
        stage.name,
        number(stage.median_ms, 2),
        number(stage.p95_ms, 2),
        number(stage.calls, 2),
        number(stage.ms_per_frame, 2),
    ]
