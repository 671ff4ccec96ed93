"""The lease of one connection on a session. The next connection takes it over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from gallery.people import display_name
from gallery.protection import TemplateProtection
from gallery.protection.errors import KeysUnavailable
from recognition.models import Decision, Session
from recognition.sessions import checkpoints
from recognition.sessions.state import Flow
from vocabulary.errors import ErrorCode, ServiceError
from vocabulary.sessions import SessionStatus


class SessionError(ServiceError):
    """
    SessionError
    ├── SessionNotFound      no such session of this tenant, or it was deleted
    ├── Superseded           a newer connection holds the session
    ├── AlreadyDecided       carries the decision
    ├── TokenInvalid         (lifecycle) the token is unknown, used or expired
    └── IdempotencyConflict  (lifecycle) the key was used with another request
    """


class SessionNotFound(SessionError):
    code = ErrorCode.SESSION_NOT_FOUND


class Superseded(SessionError):
    code = ErrorCode.REPLACED


class AlreadyDecided(SessionError):
    code = ErrorCode.SESSION_OVER

    def __init__(self, decision: Decision, *, again: bool = False) -> None:
        """`again`: an earlier connection got the decision, and may not have told it."""
        super().__init__(decision)
        self.decision = decision
        self.again = again


def decision_on(session: Session) -> Decision | None:
    """The decision with its session; None before the decision, and when the session expired without one."""
    decision = Decision.objects.select_related("session", "tenant").filter(session=session.pk).first()
    if decision is not None:
        decision.measure_lock()
        decision.display_name = display_name(decision.tenant, decision.subject_id)
    return decision


@dataclass(slots=True)
class Lease:
    """One connection's hold on a session, good as long as no lease of the session has a higher number.

    `flow` is this connection's own copy of the state, which `protection` seals.
    `resumed`: another connection held the session before. `by_token`: the session's client holds it, which must be told
    of the decision.
    """

    session: Session
    number: int
    flow: Flow
    protection: TemplateProtection
    resumed: bool
    began_s: float
    """Time of the session's first connection, in seconds of this process's monotonic clock."""
    ends_s: float
    """Time of the session's time limit, likewise."""
    attempts_left: int | None = None
    """Failed attempts, with this one, until one locks; None where none does, and where nobody is greeted."""
    by_token: bool = False

    @classmethod
    def at(cls, now: datetime, session: Session, flow: Flow, protection: TemplateProtection, *, resumed: bool) -> Lease:
        """The newest lease of a session that has begun, as of `now`, the time that all processes agree on."""
        assert session.started_at is not None
        elapsed_s = max((now - session.started_at).total_seconds(), flow.newest_ms / 1000)
        began_s = time.monotonic() - elapsed_s
        ends_s = began_s + (session.expires_at - session.started_at).total_seconds()
        return cls(session, session.lease_number, flow, protection, resumed, began_s, ends_s)

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the session's first connection."""
        return int((time.monotonic() - self.began_s) * 1000)

    @property
    def seconds_left(self) -> float:
        """Seconds until the session's time limit."""
        return self.ends_s - time.monotonic()

    def check(self) -> None:
        """Raises Superseded, AlreadyDecided or SessionNotFound when the lease is lost. Makes one query, or two more."""
        if not self._rows().exists():
            raise self.loss()

    def save(self) -> None:
        """Store the state of the flow. Raises as `check` does, and KeysUnavailable; then nothing is stored."""
        try:
            checkpoint = checkpoints.write(self.flow, self.session, self.protection)
        except KeysUnavailable:
            self.check()  # The secret may be gone because the tenant is.
            raise
        if not self._rows().update(checkpoint=checkpoint):
            raise self.loss()

    def loss(self) -> SessionError:
        """The error that says why this lease was lost."""
        decision = decision_on(self.session)
        if decision is not None:
            return AlreadyDecided(decision)
        if not Session.objects.filter(tenant=self.session.tenant_id, pk=self.session.pk).exists():
            return SessionNotFound("the session was deleted")
        return Superseded("a newer connection owns the session")

    def _rows(self) -> QuerySet[Session]:
        """The session's row; none when the lease is lost."""
        mine = Session.objects.filter(tenant=self.session.tenant_id, pk=self.session.pk)
        return mine.filter(lease_number=self.number, status=SessionStatus.IN_PROGRESS)
