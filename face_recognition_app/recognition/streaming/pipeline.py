"""Processing of one frame of a session, from a socket or REST: queue, analysis, state, answer."""

from __future__ import annotations

import logging
import time
import uuid
from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core import stages
from core.errors import ImageError, NotAnalysed
from core.face_mesh import UNTRACKED
from core.liveness.policy import Policy
from core.stages import Stage, StageTimes, timed
from database.outages import retry_unavailable
from logs import request_id
from monitoring import metrics
from recognition.models import Decision
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, Lease, SessionNotFound, Superseded
from recognition.sessions.state import Flow, Match, Observation, Outcome
from recognition.streaming.analysis import EngineSight, find_match
from recognition.streaming.answers import connection_established, frame_processed, session_complete
from recognition.streaming.sight import observe
from recognition.worker import Worker
from scheduling.executor import FrameFailed
from scheduling.frame_slot import FrameSlot, TakenFrame
from tenants.models import Tenant
from vocabulary.sessions import Purpose
from wire.errors import Busy, Replaced, UnknownToken, UnusableFrame
from wire.inbound import BadFrame, Frame
from wire.messages import ConnectionEstablished, FrameProcessed, SessionComplete

logger = logging.getLogger(__name__)

SANDBOX_TIME_LIMIT_S = 3_600.0
"""Long enough not to end a load test."""


class SandboxDecided(Exception):
    pass


@dataclass(frozen=True, slots=True)
class FrameAnswers:
    """Answers to one frame; `processed` is None when the session had been decided elsewhere."""

    processed: FrameProcessed | None
    complete: SessionComplete | None


class Stream(ABC):
    """Processes frames one at a time; the two subclasses define what is stored and decided.

    `flow` is changed on the event loop only, after the frame's last wait. Other threads read it while that frame waits
    for them. A decision may run at the same time as a frame, so it uses a copy.
    """

    def __init__(self, worker: Worker, tenant: Tenant | None, flow: Flow) -> None:
        self.worker = worker
        self.tenant = tenant
        self.flow = flow
        self._tracking = UNTRACKED
        self._next_due: float | None = None
        """When the client may send again, by the last answer, in seconds of the monotonic clock."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Session id; the same for REST clients, whose every frame makes a new stream."""

    @property
    @abstractmethod
    def elapsed_ms(self) -> int:
        """Milliseconds since the session began, by the server's clock."""

    @property
    @abstractmethod
    def seconds_left(self) -> float:
        """Seconds until the time limit."""

    @abstractmethod
    def established(self) -> ConnectionEstablished: ...

    async def process(self, slot: FrameSlot, *, keep_everything: bool = False) -> FrameAnswers:
        """Process the newest frame of the slot. Returns its answers.

        `keep_everything` checkpoints even without progress, for callers that keep no state.
        Raises FrameFailed with UnusableFrame or Busy, Replaced, Unavailable, or UnknownToken when the session was
        deleted.
        """
        self.worker.executor.pacer.heard_from(self.name)
        times = StageTimes()
        stages.current.set(times)
        try:
            taken, seen, complete = await self._take(slot, keep_everything)
        except FrameFailed as failed:
            metrics.frames.labels(failed.error.code).inc()
            self._allow_next(failed.error.retry_after_ms)
            raise
        except Superseded as error:
            raise Replaced(str(error)) from error
        except SessionNotFound as error:
            raise UnknownToken(str(error)) from error
        except AlreadyDecided as error:
            return FrameAnswers(None, session_complete(error.decision))
        assert isinstance(taken.frame, Frame)
        took_s = time.monotonic() - taken.frame.received_at
        self._allow_next()
        metrics.frames.labels("ok").inc()
        metrics.frame_seconds.observe(took_s)
        metrics.count_stages(times.seconds)
        self.worker.slow_frames.look(took_s, times)
        processed = frame_processed(
            self.flow,
            seen,
            taken.frame.seq,
            self.worker.target_fps,
            taken.dropped,
            took_s * 1000,
            max(0, int(self.seconds_left * 1000)),
        )
        return FrameAnswers(processed, complete)

    async def finish(self, outcome: Outcome) -> SessionComplete:
        """Decide without a frame: at the time limit or on a cancellation.

        Raises Replaced, Unavailable, or UnknownToken when the session was deleted.
        """
        try:
            return session_complete(await self._decide(outcome))
        except Superseded as error:
            raise Replaced(str(error)) from error
        except SessionNotFound as error:
            raise UnknownToken(str(error)) from error
        except AlreadyDecided as error:
            return session_complete(error.decision)

    async def _take(
        self, slot: FrameSlot, keep_everything: bool
    ) -> tuple[TakenFrame, Observation, SessionComplete | None]:
        taken, seen = await self._seen(slot)
        with timed(Stage.SEARCH):
            match = await self._match(seen)
        progress = self.flow.progress
        outcome = self.flow.observe(seen, match, self._late_ms(taken))
        if outcome is not None:
            with timed(Stage.STORE):
                return taken, seen, session_complete(await self._decide(outcome))
        if keep_everything or self.flow.progress != progress:
            with timed(Stage.STORE):
                await self._keep()
        return taken, seen, None

    def _allow_next(self, wait_ms: int | None = None) -> None:
        self._next_due = time.monotonic() + (wait_ms or 1000 / self.worker.target_fps) / 1000

    def _late_ms(self, taken: TakenFrame) -> int | None:
        assert isinstance(taken.frame, Frame)
        return None if self._next_due is None else max(0, int((taken.frame.received_at - self._next_due) * 1000))

    async def _seen(self, slot: FrameSlot) -> tuple[TakenFrame, Observation]:
        tenant_id = self.tenant and self.tenant.pk
        return await self.worker.executor.run_frame(
            slot,
            self._look,
            owner=tenant_id,
            about=f"a frame of session {self.name} of tenant {tenant_id} (request {request_id.current.get()})",
        )

    def _look(self, frame: Frame | BadFrame) -> Observation:
        """Decode a frame and run the mesh and the networks that the plan asks for. Called on a compute thread; never
        waits and does not change the flow."""
        if isinstance(frame, BadFrame):
            raise frame.error
        times = stages.current.get()
        if times is not None:
            times.add(Stage.WAIT, time.monotonic() - frame.received_at)
        plan = self.flow.plan(self.elapsed_ms)
        try:
            view = self.worker.engine.analyse(frame.data, self.worker.limits, self._tracking, plan.detail)
        except ImageError as error:
            raise UnusableFrame(str(error), error.code) from error
        except NotAnalysed as error:
            logger.warning("frame %d was not analysed: %s", frame.seq, error)
            self._tracking = UNTRACKED  # The mesh may fail again at the same place.
            raise Busy(error.message, error.retry_after_ms) from error
        self._tracking = view.tracking(self._tracking)
        return observe(self.flow, plan, EngineSight(self.worker.engine, view, frame.data, self.flow.model_id))

    @abstractmethod
    async def _match(self, seen: Observation) -> Match | None:
        """The best candidate for a frame, as `find_match`.

        Raises Superseded, AlreadyDecided or SessionNotFound when the frame may not count, and Unavailable.
        """

    @abstractmethod
    async def _keep(self) -> None: ...

    @abstractmethod
    async def _decide(self, outcome: Outcome) -> Decision: ...


class SandboxStream(Stream):
    """Frames are analysed; nothing is stored, matched or decided."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker, None, Flow.begin(Purpose.SANDBOX, None, Policy.PASSIVE, "", 0, 0))
        self._began = time.monotonic()
        self._name = f"sandbox-{uuid.uuid4().hex}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self._began) * 1000)

    @property
    def seconds_left(self) -> float:
        return SANDBOX_TIME_LIMIT_S - (time.monotonic() - self._began)

    def established(self) -> ConnectionEstablished:
        end = datetime.now(UTC) + timedelta(seconds=self.seconds_left)  # noqa: TID251 - only shown
        return connection_established(
            self.worker, self.flow, self.name, "in_progress", end, resumed=False, attempts_left=None
        )

    async def _match(self, seen: Observation) -> Match | None:
        """None: a sandbox has no tenant."""
        return None

    async def _keep(self) -> None:
        """Do nothing: a sandbox stores nothing."""

    async def _decide(self, outcome: Outcome) -> Decision:
        raise SandboxDecided("a sandbox decides nothing")


class SessionStream(Stream):
    """A stored session, held by one connection."""

    def __init__(self, worker: Worker, lease: Lease) -> None:
        super().__init__(worker, lease.session.tenant, lease.flow)
        self.lease = lease

    @property
    def name(self) -> str:
        return str(self.lease.session.id)

    @property
    def elapsed_ms(self) -> int:
        return self.lease.elapsed_ms

    @property
    def seconds_left(self) -> float:
        return self.lease.seconds_left

    def established(self) -> ConnectionEstablished:
        session = self.lease.session
        return connection_established(
            self.worker,
            self.flow,
            self.name,
            session.status,
            session.expires_at,
            resumed=self.lease.resumed,
            attempts_left=self.lease.attempts_left,
        )

    async def _match(self, seen: Observation) -> Match | None:
        # Safe to repeat, since it writes nothing; the frame is not analysed again, and counts once.
        return await retry_unavailable(lambda: self.worker.database.run(self._check_and_match, seen))

    def _check_and_match(self, seen: Observation) -> Match | None:
        self.lease.check()
        return find_match(self.worker.deciding, self.lease.session.tenant, self.flow, seen)

    async def _keep(self) -> None:
        await retry_unavailable(lambda: self.worker.database.run(self.lease.save))

    async def _decide(self, outcome: Outcome) -> Decision:
        # A copy, because a cancellation may be decided while a frame is in work.
        held = replace(self.lease, flow=deepcopy(self.flow))
        # Safe to repeat: a decision made although its answer was lost is found, and sent.
        return await retry_unavailable(
            lambda: self.worker.database.run(lifecycle.decide, self.worker.deciding, held, outcome)
        )
