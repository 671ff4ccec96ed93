"""Sessions that fail, and what was counted of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.liveness.policy import Policy
from core.types import Embedding
from recognition.models import Decision, FailedAttempts
from recognition.sessions import lifecycle, lockout
from recognition.sessions.lease import Lease
from recognition.sessions.lockout import Claim
from recognition.sessions.state import Match, Outcome
from recognition.worker import Worker
from tests.recognition.support import Backend, asked
from vocabulary.sessions import Reason

LIMIT, WINDOW_S, LOCK_S = 5, 180.0, 1_800.0
NO_MATCH = Outcome(False, Reason.NO_MATCH, None, None)
MATCH = Match("alice", 0.9, 0.4)
SUCCESS = Outcome(True, None, "alice", MATCH)


@dataclass
class Clock:
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def begun(
    worker: Worker,
    backend: Backend,
    kind: str = "authentication",
    device_id: str = "",
    subject_id: str = "alice",
    liveness: Policy = Policy.NONE,
    host: str = "",
) -> Lease:
    """A connected session of somebody who has waited as long as was asked."""
    FailedAttempts.objects.update(waits_until=None)
    subject = "" if kind == "identification" else subject_id
    session = lifecycle.create(
        worker.deciding, backend.tenant, asked(kind, subject, liveness, device_id=device_id), None
    ).session
    return lifecycle.connect(worker.deciding, session, host=host)


def fail(
    worker: Worker, backend: Backend, times: int = 1, reason: Reason = Reason.NO_MATCH, **session: Any
) -> Decision:
    for _ in range(times):
        decision = lifecycle.decide(
            worker.deciding, begun(worker, backend, **session), Outcome(False, reason, None, None)
        )
    return decision


def succeed(worker: Worker, backend: Backend, embedding: Embedding, **session: Any) -> Decision:
    connection = begun(worker, backend, **session)
    return lifecycle.decide(worker.deciding, connection, matched(connection, embedding))


def matched(connection: Lease, embedding: Embedding) -> Outcome:
    """A success that holds when it is looked at once more in the deciding transaction."""
    connection.flow.match, connection.flow.matched_probe = MATCH, embedding.tobytes()
    return SUCCESS


def locked(backend: Backend, subject_id: str = "", device_id: str = "") -> bool:
    return lockout.locked_until(Claim(backend.tenant, subject_id, device_id)) is not None


def counted() -> dict[tuple[str, str], float]:
    """The weight of every counter's failures."""
    counters = FailedAttempts.objects.all()
    return {(counter.kind, counter.key): sum(weight for _, weight in counter.failed_at) for counter in counters}
