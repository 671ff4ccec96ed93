"""The lease of one connection on a session. The next connection takes it over."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

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

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision


@dataclass(slots=True)
class Lease:
    """One connection's hold on a session, good as long as no lease of the session has a higher number.

    `flow` is this connection's own copy of the state. `resumed`: another connection held the session before.
    """

    session: Session
    number: int
    flow: Flow
    resumed: bool

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the session's first connection."""
        assert self.session.started_at is not None
        return max(0, int((timezone.now() - self.session.started_at).total_seconds() * 1000))

    @property
    def seconds_left(self) -> float:
        """Seconds until the session's time limit."""
        return (self.session.expires_at - timezone.now()).total_seconds()

    def check(self) -> None:
        """Raises Superseded, AlreadyDecided or SessionNotFound when the lease is lost. Makes one query, or two more."""
        if not self._rows().exists():
            raise self.loss()

    def save(self) -> None:
        """Store the state of the flow. Raises as `check` does, and then stores nothing."""
        if not self._rows().update(checkpoint=checkpoints.dump(self.flow)):
            raise self.loss()

    def loss(self) -> SessionError:
        """The error that says why this lease was lost."""
        decision = Decision.objects.select_related("session").filter(session=self.session.pk).first()
        if decision is not None:
            return AlreadyDecided(decision)
        if not Session.objects.filter(pk=self.session.pk).exists():
            return SessionNotFound("the session was deleted")
        return Superseded("a newer connection owns the session")

    def _rows(self) -> QuerySet[Session]:
        """The session's row; none when the lease is lost."""
        return Session.objects.filter(pk=self.session.pk, lease_number=self.number, status=SessionStatus.IN_PROGRESS)
