"""Sessions without sockets and database, frame by frame on the calling thread. Needs Django to be set up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

from bench.engine.frames import Clip, Walk
from core.face_mesh import UNTRACKED
from core.face_recognition_engine import FrameView
from core.liveness.policy import Policy
from core.types import Detail
from recognition.sessions import checkpoints
from recognition.sessions.state import Flow, Outcome
from recognition.streaming.analysis import EngineSight
from recognition.streaming.sight import observe
from recognition.worker import Worker
from vocabulary.sessions import Purpose

P = ParamSpec("P")
T = TypeVar("T")

FRAME_MS = 100
"""Session time per frame: sessions run at 10 frames per second of simulated time, however fast they are fed."""
_SAMPLES = 3


class Timer(Protocol):
    def __call__(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it and count its time under `name`; returns what the call returns."""


def untimed(name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return call(*args, **kwargs)


def passive_flow() -> Flow:
    """An enrolment with passive liveness: it runs every stage of a session except the search."""
    return Flow.begin(Purpose.ENROLLMENT, "bench", Policy.PASSIVE, "", _SAMPLES, no_match_frames=8)


def sandbox_flow() -> Flow:
    return Flow.begin(Purpose.SANDBOX, None, Policy.PASSIVE, "", 0, 0)


class BenchSession:
    """Processes frames as a worker thread does, and serialises its checkpoints without storing them."""

    def __init__(self, worker: Worker, flow: Flow, timed: Timer = untimed) -> None:
        self.tracking = UNTRACKED
        self._worker = worker
        self._flow = flow
        self._timed = timed
        self._at_ms = 0

    def take(self, data: bytes) -> tuple[FrameView, Outcome | None]:
        worker, flow = self._worker, self._flow
        progress, plan = flow.progress, flow.plan(self._at_ms)
        self._at_ms += FRAME_MS
        view = worker.engine.analyse(data, worker.limits, self.tracking, plan.detail)
        self.tracking = view.tracking(self.tracking)
        seen = self._timed("hash, reading", observe, flow, plan, EngineSight(worker.engine, view, data))
        outcome = self._timed("weighing", flow.observe, seen, None)
        if flow.progress != progress:
            self._timed("checkpoint", checkpoints.dump, flow)
        return view, outcome


class SessionWalker:
    """Runs sessions one after the other: the next begins when one is decided or its clip ends."""

    def __init__(self, worker: Worker, purpose: Purpose, clips: Sequence[Clip], first: int) -> None:
        self._worker = worker
        self._new_flow = sandbox_flow if purpose is Purpose.SANDBOX else passive_flow
        self._walk = Walk(clips, first)
        self._session: BenchSession | None = None

    def __call__(self) -> bool:
        """Process one frame; returns whether it showed a face."""
        if self._walk.step() or self._session is None:
            self._session = BenchSession(self._worker, self._new_flow())
        view, outcome = self._session.take(self._walk.jpeg)
        if outcome is not None:
            self._walk.skip_to_next_clip()
            self._session = None
        return bool(view.faces)


class MeshWalker:
    """Runs the mesh alone, tracking the faces of one clip after the other."""

    def __init__(self, worker: Worker, detail: Detail, clips: Sequence[Clip], first: int) -> None:
        self._detector = worker.engine.detector
        self._detail = detail
        self._walk = Walk(clips, first)
        self._tracking = UNTRACKED

    def __call__(self) -> bool:
        """Process one frame; returns whether it showed a face."""
        if self._walk.step():
            self._tracking = UNTRACKED
        faces = self._detector.safe_process(self._walk.rgb, self._tracking, self._detail)
        self._tracking = self._tracking.after(faces)
        return bool(faces)
