"""Makes sessions that fail, and reads the counters of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.liveness.policy import Policy
from core.types import Embedding
from recognition.models import Decision, FailedAttempts
from recognition.sessions import lifecycle, lockout
from recognition.sessions.lease import Lease
from recognition.sessions.lockout import LockoutKey
from recognition.sessions.state import Match, Outcome
from recognition.tokens.signing import Signer
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
    """A connected session, created after waiting as long as the lockout asks."""
    FailedAttempts.across_tenants.update(waits_until=None)
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
    """A successful outcome that the deciding transaction confirms."""
    connection.flow.match, connection.flow.matched_probe = MATCH, embedding.tobytes()
    return SUCCESS


def locked(backend: Backend, subject_id: str = "", device_id: str = "") -> bool:
    return lockout.locked_until(LockoutKey(backend.tenant, subject_id, device_id)) is not None


def counted() -> dict[tuple[str, str], float]:
    """The total weight of every counter's failures."""
    counters = FailedAttempts.across_tenants.all()
    return {(counter.kind, counter.key): sum(weight for _, weight in counter.failed_at) for counter in counters}


@contextmanager
def unable_to_sign(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the block, signing a decision raises RuntimeError("no signature")."""

    def no_signature(*args: object) -> str:
        raise RuntimeError("no signature")

    with monkeypatch.context() as broken:
        broken.setattr(type(signer), "sign_decision", no_signature)
        yield
