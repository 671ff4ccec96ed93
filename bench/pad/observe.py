"""Recordings of the real engine's observations of testkit.attacks' streams, made once and cached on disk.

A recording's file name includes its stream, a digest of the code that rendered and observed it, and VERSION: files
of older code are ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine
from core.features.appearance import SIZE
from core.features.skin_samples import SKIN_POINTS
from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Appearance, FrameSamples, Quality
from core.imaging.frames import ImageLimits
from core.types import Box, Embedding, MeshFace, Points, Pose
from testkit.attacks import MAKERS, Split, Stream
from testkit.clips import encode_jpeg
from testkit.recorded_sight import RecordedFace, RecordedSight, watch
from vocabulary.faces import Issue
from weights.catalogue import ensure_models

VERSION = 5
"""Version of the file format: raise it whenever `save` changes."""
REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / "var" / "cache" / "pad"
_MODELS = REPOSITORY / "var" / "models"
_CORE = REPOSITORY / "face_recognition_app" / "core"
_NOT_LOOKING = {"liveness", "pool.py", "permits.py"}
"""Parts of the engine's code that do not influence the observation of a single frame."""
_LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_WORKERS = 2

Part = Literal["frames", "takes"]
"""Part of a stream to observe: its fixed frames, or its takes of requested actions."""


@dataclass(frozen=True, slots=True)
class Task:
    split: Split
    species: str
    index: int
    part: Part

    @property
    def path(self) -> Path:
        name = f"{self.index:04d}-{self.part}-{_digest(self.species)[:12]}.npz"
        return CACHE / self.split / self.species / name


@dataclass(frozen=True, slots=True)
class Recording:
    """Observations of one stream; `shown` by name: `frames`, or `STAGE/ACTION` for the takes."""

    split: Split
    species: str
    person: str
    index: int
    fps: float
    swap_step: int
    swap_after_s: float
    attack_begins: int
    stages: int
    claimed: Embedding | None
    shown: Mapping[str, Sequence[RecordedSight]]

    @property
    def repertoire(self) -> frozenset[str]:
        return frozenset(name.partition("/")[2] for name in self.shown) - {"", "neutral"}


def load_engine() -> FaceRecognitionEngine:
    return FaceRecognitionEngine.load(EngineConfig("openvino", 1, _models()))


def _models() -> dict[str, Path]:
    return ensure_models(_MODELS, lambda line: print(line, file=sys.stderr))


def record(engine: FaceRecognitionEngine, split: Split, stream: Stream, part: Part) -> Recording:
    if part == "frames":
        shown = {"frames": list(watch(engine, stream.frames(), stream.jpeg_quality))}
    else:
        shown = {
            f"{number}/{action}": list(watch(engine, frames(), stream.jpeg_quality))
            for number, takes in enumerate(stream.stages)
            for action, frames in takes.items()
        }
    return Recording(
        split=split,
        species=stream.species,
        person=stream.person,
        index=stream.index,
        fps=stream.fps,
        swap_step=stream.swap_step,
        swap_after_s=stream.swap_after_s,
        attack_begins=stream.attack_begins,
        stages=len(stream.stages),
        claimed=_claimed(engine, stream),
        shown=shown,
    )


def _claimed(engine: FaceRecognitionEngine, stream: Stream) -> Embedding | None:
    if stream.claims is None:
        return None
    view = engine.analyse_still(encode_jpeg(stream.claims(), 95), _LIMITS)
    return engine.embed(view) if view.face is not None else None


def save(recording: Recording, path: Path) -> None:
    """Write a recording: points as 16-bit shares of the face's extent (finer than float16), embeddings as float16."""
    seen = [frame for frames in recording.shown.values() for frame in frames]
    faces = [frame.face for frame in seen if frame.face is not None]
    points = np.array([face.mesh.points for face in faces], np.float32).reshape(-1, 478, 3)
    low, span = points.min(axis=1, initial=1e9), np.ptp(points, axis=1) if len(points) else np.zeros((0, 3))
    shares = (points - low[:, None]) / np.maximum(span, 1e-6)[:, None]
    about = {f.name: getattr(recording, f.name) for f in fields(recording) if f.name not in ("shown", "claimed")}
    about["claimed"] = None if recording.claimed is None else recording.claimed.tolist()
    about["shown"] = {name: [_plain(frame) for frame in frames] for name, frames in recording.shown.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            shares=np.round(shares * 65535).astype(np.uint16),
            low=low.astype(np.float32),
            span=np.asarray(span, np.float32),
            embeddings=np.array([_or_zeros(face.embedding) for face in faces], np.float16).reshape(-1, 512),
            appearances=np.array([face.appearance for face in faces], np.float16).reshape(-1, SIZE),
            skin=np.array([face.frame_samples.skin for face in faces], np.uint8).reshape(-1, len(SKIN_POINTS)),
            thumbnails=np.array([face.frame_samples.thumbnail for face in faces], np.uint8).reshape(
                -1, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH
            ),
        )
    part.replace(path)


def _or_zeros(embedding: Embedding | None) -> Embedding:
    return np.zeros(512, np.float32) if embedding is None else embedding


def load(path: Path) -> Recording:
    with np.load(path) as stored:
        about = json.loads(stored["about"].tobytes())
        points = stored["shares"] * (stored["span"] / np.float32(65535))[:, None] + stored["low"][:, None]
        vectors = stored["embeddings"].astype(np.float32)
        appearances = stored["appearances"].astype(np.float32)
        frame_samples = map(FrameSamples, stored["skin"], stored["thumbnails"])
    kept = Kept(iter(points.astype(np.float32)), iter(appearances), iter(vectors), frame_samples)
    about["shown"] = {name: [_revived(frame, kept) for frame in frames] for name, frames in about["shown"].items()}
    about["claimed"] = None if about["claimed"] is None else np.array(about["claimed"], np.float32)
    return Recording(**about)


@dataclass(frozen=True, slots=True)
class Kept:
    """The arrays of a recording, in the order of its frames with a face."""

    points: Iterator[Points]
    appearances: Iterator[Appearance]
    embeddings: Iterator[Embedding]
    frame_samples: Iterator[FrameSamples]


_MESH_NUMBERS = [f.name for f in fields(MeshFace) if f.name not in ("points", "pose", "tracked")]


def _plain(seen: RecordedSight) -> dict[str, Any]:
    quality = {f.name: getattr(seen.quality, f.name) for f in fields(Quality)}
    return {"size": seen.size, "sha256": seen.sha256, "quality": quality, "face": seen.face and _plain_face(seen.face)}


def _plain_face(face: RecordedFace) -> dict[str, Any]:
    return {
        "box": [getattr(face.box, f.name) for f in fields(Box)],
        "pose": [getattr(face.mesh.pose, f.name) for f in fields(Pose)],
        "mesh": {name: getattr(face.mesh, name) for name in _MESH_NUMBERS},
        "live_score": face.live_score,
        "spoof_networks": face.spoof_networks,
        "moire": face.moire,
        "tint": face.tint,
    }


def _revived(plain: dict[str, Any], kept: Kept) -> RecordedSight:
    (width, height), quality, face = plain["size"], plain["quality"], plain["face"]
    quality["issues"] = tuple(Issue(issue) for issue in quality["issues"])
    seen = None if face is None else _revived_face(face, kept)
    return RecordedSight((width, height), plain["sha256"], Quality(**quality), seen)


def _revived_face(plain: dict[str, Any], kept: Kept) -> RecordedFace:
    red, blue = plain["tint"]
    return RecordedFace(
        mesh=MeshFace(points=next(kept.points), pose=Pose(*plain["pose"]), **plain["mesh"]),
        box=Box(*plain["box"]),
        live_score=plain["live_score"],
        spoof_networks=plain["spoof_networks"],
        moire=plain["moire"],
        tint=(red, blue),
        appearance=_unit(next(kept.appearances)),
        embedding=_or_none(next(kept.embeddings)),
        frame_samples=next(kept.frame_samples),
    )


def _or_none(stored: Embedding) -> Embedding | None:
    return _unit(stored) if stored.any() else None


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@cache
def _digest(species: str) -> str:
    """Digest of all code that influences observations of a species, and of which models are there."""
    sources = {Path(str(sys.modules[name].__file__)) for name in _behind(MAKERS[species].__module__)}
    sources |= {path for path in _CORE.rglob("*.py") if not _NOT_LOOKING & set(path.relative_to(_CORE).parts)}
    hashed = hashlib.sha256(f"{VERSION} {sorted(_models())}".encode())
    for path in sorted(sources):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def _behind(module: str) -> set[str]:
    """The module, and transitively those of `testkit` that it imports."""
    found, open_ends = set[str](), [module]
    while open_ends:
        name = open_ends.pop()
        if name not in found and name.startswith("testkit."):
            found.add(name)
            open_ends += {str(getattr(used, "__module__", "")) for used in vars(sys.modules[name]).values()}
    return found


def observe(tasks: Sequence[Task], workers: int = _WORKERS) -> dict[Task, Path]:
    """Paths of all tasks' recordings; worker processes make the missing ones, with a progress bar on stderr."""
    missing = [task for task in tasks if not task.path.is_file()]
    if missing:
        os.environ.setdefault("GLOG_minloglevel", "2")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
            running = [pool.submit(_observe, task, task.path) for task in missing]
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                show_progress(done, len(running), "streams")
    return {task: task.path for task in tasks}


@cache
def _engine() -> FaceRecognitionEngine:
    return load_engine()


def _begin_worker() -> None:
    cv2.setNumThreads(1)


def _observe(task: Task, path: Path) -> None:
    """Record one task. The caller computes `path`: it must not change when code is edited meanwhile."""
    stream = MAKERS[task.species](task.split, task.index)
    save(record(_engine(), task.split, stream, task.part), path)


def show_progress(done: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r[{'#' * (40 * done // total):<40}] {done}/{total} {what}", end=end, file=sys.stderr, flush=True)
    elif done == total or done % max(1, total // 10) == 0:
        print(f"{done}/{total} {what}", file=sys.stderr, flush=True)
