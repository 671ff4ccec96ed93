"""manage.py recommend_workers [--cores N] [--memory GIB] [--users N] [--profile NAME] [--cpu PERCENT] [--json]"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, get_args

import cv2
import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.job_settings import job_settings
from config.processes.memory import memory_bytes
from config.service import service_settings
from config.settings import Settings
from config.sizing.guides import for_users, step_up
from config.sizing.machine import MIB, Machine, this_machine
from config.sizing.measured import FrameCosts, recommend
from config.sizing.plan import Plan, plan
from config.sizing.report import lines_of
from config.sizing.workers import WorkerProfile, pool_size_for, workers_for
from core.errors import ModelError
from core.face_mesh import UNTRACKED, Tracking
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine, FrameView
from core.imaging.frames import ImageLimits
from core.types import RgbImage
from weights.catalogue import ensure_models

MEASURE_S = 3.0
_WARM_UP_FRAMES = 5
_JPEG_QUALITY = 85


class Command(BaseCommand):
    help = "Measures this machine for a few seconds and tells how many workers and instances suit it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--cores", type=positive_number, help="of another machine, whose cores are as fast as these"
        )
        parser.add_argument("--memory", type=positive_number, help="GiB of another machine")
        parser.add_argument("--users", type=positive_count, help="people who use the service")
        parser.add_argument("--profile", choices=get_args(WorkerProfile), help="as WORKER_PROFILE")
        parser.add_argument(
            "--cpu", type=positive_number, help="percent of busy CPU that was recorded with these workers"
        )
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        settings, jobs = service_settings(), job_settings()
        machine = imagined(this_machine(), options["cores"], options["memory"])
        profile = options["profile"] or settings.worker_profile
        try:
            costs, worker_bytes = measure(settings, machine, MEASURE_S)
        except ModelError as error:
            raise CommandError(str(error)) from error
        advice = recommend(machine, costs.frame_ms, worker_bytes, settings.target_fps, profile)
        made = plan(advice, costs, worker_bytes, jobs.slots)
        if options["json"]:
            self.stdout.write(json.dumps(_figures(made, options["users"], options["cpu"]), indent=2))
        else:
            self.stdout.write("\n".join(lines_of(made, options["users"], options["cpu"])))


def positive_number(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def positive_count(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def imagined(machine: Machine, cores: float | None, memory_gib: float | None) -> Machine:
    """The machine with other resources, where they are given."""
    if cores is not None:
        machine = replace(machine, affinity=math.ceil(cores), quota=cores)
    if memory_gib is not None:
        memory = int(memory_gib * 1024 * MIB)
        machine = replace(machine, memory_bytes=memory, installed_bytes=memory, memory_is_limited=False)
    return machine


def _figures(made: Plan, users: int | None, cpu_percent: float | None) -> dict[str, Any]:
    figures = asdict(made)
    return {
        **figures.pop("advice"),
        "costs_ms": figures.pop("costs"),
        "command": made.advice.line,
        **figures,
        "max_connections": made.chosen.max_connections,
        "for_users": None if users is None else asdict(for_users(users)),
        "step_up": None if cpu_percent is None else step_up(made.advice.workers, cpu_percent),
    }


def measure(settings: Settings, machine: Machine, seconds: float) -> tuple[FrameCosts, int]:
    """What a frame costs, and the memory of a worker with one compute thread. Raises ModelError."""
    pool_size = pool_size_for(machine.cores, workers_for(machine.cores))
    with _engine(settings, pool_size) as engine:
        costs = frame_costs(engine, ImageLimits(settings.max_image_bytes, settings.max_image_pixels), seconds)
        return costs, memory_bytes(os.getpid())


@contextmanager
def _engine(settings: Settings, pool_size: int) -> Iterator[FaceRecognitionEngine]:
    engine = FaceRecognitionEngine.load(
        EngineConfig(settings.mesh_backend, pool_size, ensure_models(settings.model_dir))
    )
    try:
        yield engine
    finally:
        engine.close()


def frame_costs(engine: FaceRecognitionEngine, limits: ImageLimits, seconds: float) -> FrameCosts:
    """Medians over so many seconds of the same frame, whose face is followed."""
    data = cv2.imencode(".jpg", portrait()[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    tracking, samples = UNTRACKED, list[FrameCosts]()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s or len(samples) <= _WARM_UP_FRAMES:
        costs, tracking = _one_frame(engine, data, limits, tracking)
        samples.append(costs)
    counted = samples[_WARM_UP_FRAMES:]
    return FrameCosts(
        analysis=statistics.median(sample.analysis for sample in counted),
        spoof=statistics.median(sample.spoof for sample in counted),
        samples=statistics.median(sample.samples for sample in counted),
        embed=statistics.median(sample.embed for sample in counted),
    )


def _one_frame(
    engine: FaceRecognitionEngine, data: bytes, limits: ImageLimits, tracking: Tracking
) -> tuple[FrameCosts, Tracking]:
    began_s = time.process_time()
    view = engine.analyse(data, limits, tracking=tracking)
    analysis_ms = 1000 * (time.process_time() - began_s)
    if view.face is None:
        raise CommandError("the engine does not see the face that was drawn for it; its models are not the right ones")
    costs = FrameCosts(
        analysis=analysis_ms,
        spoof=_ms(engine.live_score, view) + _ms(engine.moire, view),
        samples=_ms(engine.sample_frame, view) + _ms(engine.appearance, view),
        embed=_ms(engine.embed, view),
    )
    return costs, view.tracking(tracking)


def _ms(part: Callable[[FrameView], object], view: FrameView) -> float:
    """CPU time of all threads: one of the backends computes on threads of its own."""
    began_s = time.process_time()
    part(view)
    return 1000 * (time.process_time() - began_s)


def portrait() -> RgbImage:
    """A face to measure with, 640x480: drawn, as a server has no pictures of people, but the networks see one."""
    frame = np.full((480, 640, 3), (150, 160, 170), np.uint8)
    skin, dark, shade, lips = (215, 170, 145), (70, 50, 40), (185, 130, 110), (180, 85, 85)
    cv2.ellipse(frame, (320, 215), (105, 130), 0, 0, 360, dark, cv2.FILLED)
    cv2.rectangle(frame, (285, 330), (355, 420), shade, cv2.FILLED)
    cv2.ellipse(frame, (320, 240), (90, 118), 0, 0, 360, skin, cv2.FILLED)
    for x in (282, 358):
        cv2.ellipse(frame, (x, 222), (18, 9), 0, 0, 360, (245, 245, 245), cv2.FILLED)
        cv2.circle(frame, (x, 222), 8, dark, cv2.FILLED)
        cv2.ellipse(frame, (x, 206), (24, 7), 0, 190, 350, dark, 5)
    cv2.ellipse(frame, (320, 270), (16, 7), 0, 0, 180, shade, 4)
    cv2.ellipse(frame, (320, 306), (32, 11), 0, 0, 360, lips, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 2), np.uint8)
