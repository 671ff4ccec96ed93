"""Runs the engine bench's subjects in rounds. Needs Django to be set up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2

from bench.engine.frames import Clip, read_clips
from bench.engine.pools import POOL_SIZES, ROUNDS, Subject, Throughput, figures_of, one_round
from bench.engine.report import (
    FACE_LANDMARKER,
    LEGACY,
    LEGACY_THREADS,
    MESHES,
    PASSIVE,
    PASSIVE_LANDMARKER,
    SANDBOX,
    Report,
    ratios_of,
)
from bench.engine.sessions import MeshWalker, SessionWalker
from bench.engine.stages import StageBench
from bench.legacy.baseline import INSTANCES, LegacyResult, measure
from config.settings import load
from core.types import Detail
from recognition.worker import Worker
from vocabulary.sessions import Purpose

_LEGACY_FRAMES = 40
"""Frames for the legacy pool, which tracks nothing: they need not be consecutive."""


def run(directory: Path, seconds: float, *, legacy: bool) -> Report:
    """Run all rounds; files of the runtimes go to `directory`. Raises LegacyError."""
    clips = read_clips()
    cv2.setNumThreads(1)  # As in the service; and a stage's CPU time includes no pool thread.
    with ExitStack() as stack:
        ours, theirs = (_worker(directory, backend, stack) for backend in ("openvino", "mediapipe"))
        _tell("stages")
        with StageBench(ours) as bench:
            stages = bench.measure(clips)
        rounds = _rounds(_subjects(ours, theirs, clips), clips, seconds, legacy=legacy)
    return Report(stages, figures_of(rounds), ratios_of(stages, rounds))


def _worker(directory: Path, backend: str, stack: ExitStack) -> Worker:
    own = {"mesh_backend": backend, "mesh_pool_size": max(POOL_SIZES), "data_dir": directory / backend, "workers": 1}
    worker = Worker.start(load().model_copy(update=own))
    stack.callback(worker.close)
    return worker


def _subjects(ours: Worker, theirs: Worker, clips: Sequence[Clip]) -> list[Subject]:
    threads = ours.settings.compute_threads

    def mesh(name: str, worker: Worker, detail: Detail, threads: int) -> Subject:
        return Subject(name, [MeshWalker(worker, detail, clips, thread) for thread in range(threads)])

    def session(name: str, worker: Worker, purpose: Purpose) -> Subject:
        return Subject(name, [SessionWalker(worker, purpose, clips, thread) for thread in range(threads)])

    return [
        mesh(FACE_LANDMARKER, theirs, Detail.FULL, max(POOL_SIZES)),
        *(mesh(name, ours, detail, threads) for detail, name in MESHES.items()),
        session(PASSIVE_LANDMARKER, theirs, Purpose.ENROLLMENT),
        session(PASSIVE, ours, Purpose.ENROLLMENT),
        session(SANDBOX, ours, Purpose.SANDBOX),
    ]


def _rounds(
    subjects: Sequence[Subject], clips: Sequence[Clip], seconds: float, *, legacy: bool
) -> dict[tuple[str, int], list[Throughput]]:
    pictures = [frame for clip in clips for frame in clip.frames]
    some = pictures[:: max(1, len(pictures) // _LEGACY_FRAMES)]
    rounds: dict[tuple[str, int], list[Throughput]] = {}
    for number in range(ROUNDS):
        _tell(f"round {number + 1} of {ROUNDS}")
        measured = one_round(subjects, seconds)
        if legacy:
            measured[LEGACY, INSTANCES] = _as_ours(measure(some, LEGACY_THREADS, seconds))
        for key, throughput in measured.items():
            rounds.setdefault(key, []).append(throughput)
    return rounds


def _as_ours(result: LegacyResult) -> Throughput:
    return Throughput(
        result.frames,
        result.found,
        seconds=result.frames / result.frames_per_second,
        cpu_s=result.frames * result.cpu_ms_per_frame / 1000,
    )


def _tell(line: str) -> None:
    print(f"engine: {line}", file=sys.stderr, flush=True)
