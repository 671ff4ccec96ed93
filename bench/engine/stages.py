"""CPU time of each stage of a frame, in the order and as often as a passive session runs it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import numpy as np

from bench.engine.frames import Clip
from bench.engine.report import FACE_LANDMARKER, MESHES, Stage
from bench.engine.sessions import BenchSession, passive_flow
from core.face_mesh import IN_SESSION, FaceMesh, MeshModels, Search, Tracking, mesh_factory
from core.face_mesh.detector import find_faces
from core.face_mesh.head_pose import head_pose
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.face_mesh.openvino_mesh import MeshNetworks, OpenVinoFaceMesh
from core.face_recognition_engine import FaceRecognitionEngine, FrameView, LivenessDetector
from core.features.embedder.network import Embedder
from core.features.spoof import SpoofDetector
from core.features.values import Appearance, FrameSamples
from core.imaging.frames import Header, ImageLimits, Picture
from core.pool import Pool
from core.types import Detail, Embedding, MeshFace
from recognition.worker import Worker
from weights.catalogue import ensure_models

P = ParamSpec("P")
T = TypeVar("T")

ASIDE_EVERY = 5
"""Every so many frames, stages that the session does not run are measured for comparison."""
DETECT, POSE = "detect", "pose (a part of every mesh)"
ASIDE = frozenset({DETECT, POSE, *MESHES.values(), FACE_LANDMARKER})
_BORROW_TIMEOUT_S = 60.0


class Clock:
    """CPU time by stage, exclusive of the stages that it calls.

    It includes all threads, because MediaPipe's networks run on their own: nothing else may run meanwhile.
    """

    def __init__(self) -> None:
        self.samples_ms: defaultdict[str, list[float]] = defaultdict(list)
        self._inner_ms = [0.0]

    def time(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._inner_ms.append(0.0)
        began_s = time.process_time()
        result = call(*args, **kwargs)
        took_ms = 1000 * (time.process_time() - began_s)
        self.samples_ms[name].append(took_ms - self._inner_ms.pop())
        self._inner_ms[-1] += took_ms
        return result


class TimedEngine(FaceRecognitionEngine):
    """The engine with each of its stages timed."""

    def __init__(self, clock: Clock, detector: LivenessDetector, embedder: Embedder, spoof: SpoofDetector) -> None:
        super().__init__(detector, embedder, spoof, "openvino")
        self._clock = clock

    def _decode(self, data: bytes, limits: ImageLimits, reduction_for: Callable[[Header], int]) -> Picture:
        return self._clock.time("decode", super()._decode, data, limits, reduction_for)

    def _find(self, picture: Picture, tracking: Tracking, detail: Detail, search: Search) -> list[MeshFace]:
        return self._clock.time(_mesh_stage(tracking, detail), super()._find, picture, tracking, detail, search)

    def _judge(self, picture: Picture, faces: list[MeshFace], refuse_bystanders: bool) -> FrameView:
        return self._clock.time("align, quality", super()._judge, picture, faces, refuse_bystanders)

    def live_score(self, view: FrameView) -> float:
        return self._clock.time("anti-spoof", super().live_score, view)

    def moire(self, view: FrameView) -> float | None:
        return self._clock.time("moire", super().moire, view)

    def sample_frame(self, view: FrameView) -> FrameSamples:
        return self._clock.time("frame samples", super().sample_frame, view)

    def appearance(self, view: FrameView) -> Appearance:
        return self._clock.time("appearance", super().appearance, view)

    def embed(self, view: FrameView, model_id: str = "") -> Embedding | None:
        return self._clock.time("embedding", super().embed, view, model_id)


def _mesh_stage(tracking: Tracking, detail: Detail) -> str:
    if not tracking.faces:
        return "mesh, new face"
    return f"mesh, tracked, {detail}" + (" + detect" if tracking.detection_is_due else "")


class Bystanders:
    """Stages that the session does not run, on the same frames: the detector, and each mesh by itself."""

    def __init__(self, clock: Clock, models: MeshModels) -> None:
        networks = MeshNetworks.load(models)
        self._clock = clock
        self._detector = networks.detector
        self._model_face = networks.model_face
        self._mesh: FaceMesh = OpenVinoFaceMesh(networks)
        self._landmarker: FaceMesh = MediaPipeFaceMesh(models.landmarker, max_faces=IN_SESSION.max_faces)

    def measure(self, view: FrameView, tracking: Tracking) -> None:
        """Measure them on the frame of `view`; `tracking` tracks its face."""
        rgb, face = view.rgb, view.faces[0]
        # The face where it was, and no detection due: the detector is timed separately.
        followed = replace(tracking, frames=1)
        self._clock.time(DETECT, find_faces, self._detector, rgb)
        for detail in Detail:
            self._clock.time(MESHES[detail], self._mesh.process, rgb, followed, detail)
        self._clock.time(POSE, head_pose, self._model_face, face.points, rgb.shape[1], rgb.shape[0])
        self._clock.time(FACE_LANDMARKER, self._landmarker.process, rgb)

    def close(self) -> None:
        self._mesh.close()
        self._landmarker.close()


class StageBench:
    """Plays clips to passive sessions and times their stages. A context manager."""

    def __init__(self, worker: Worker) -> None:
        files = ensure_models(worker.settings.model_dir)
        models = MeshModels(files["face_landmarker"], files["face_landmark"])
        self._clock = Clock()
        self._bystanders = Bystanders(self._clock, models)
        self._engine = TimedEngine(
            self._clock,
            LivenessDetector(Pool(mesh_factory("openvino", models), 1), _BORROW_TIMEOUT_S),
            Embedder.load(files["fr_feature"]),
            SpoofDetector.load(files["fr_liveness"], files.get("minifasnet")),
        )
        self._engine.warm_up()
        self._worker = replace(worker, engine=self._engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
        self._bystanders.close()

    def measure(self, clips: Sequence[Clip]) -> list[Stage]:
        for warm_up in (True, False):
            frames = sum(self._play(clip) for clip in (clips[:1] if warm_up else clips))
            samples = dict(self._clock.samples_ms)
            self._clock.samples_ms.clear()
        return stages_of(samples, frames)

    def _play(self, clip: Clip) -> int:
        """Run one session to its decision or the end of the clip; returns its number of frames."""
        session = BenchSession(self._worker, passive_flow(), self._clock.time)
        for number, data in enumerate(clip.jpegs):
            view, outcome = session.take(data)
            if view.faces and number % ASIDE_EVERY == 0:
                self._bystanders.measure(view, session.tracking)
            if outcome is not None:
                return number + 1
        return len(clip.jpegs)


def stages_of(samples_ms: Mapping[str, Sequence[float]], frames: int) -> list[Stage]:
    return [_stage(name, samples, frames) for name, samples in samples_ms.items()]


def _stage(name: str, samples_ms: Sequence[float], frames: int) -> Stage:
    median, p95 = np.percentile(samples_ms, (50, 95))
    aside = name in ASIDE
    return Stage(
        name,
        float(median),
        float(p95),
        None if aside else len(samples_ms) / frames,
        None if aside else sum(samples_ms) / frames,
    )
