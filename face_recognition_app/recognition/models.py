"""Rows of sessions, decisions, failed attempts, known devices and digests of seen frames."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models

from config.durations import milliseconds_until
from database import clock
from database.owned import TenantOwned
from gallery.models import ProtectedRow, Renewal, Subject
from gallery.names import MAX_DISPLAY_NAME
from tenants.models import Tenant
from vocabulary.sessions import SessionKind, SessionStatus


def choices_of(words: type[StrEnum]) -> list[tuple[str, str]]:
    """Value and label of each word, for a field's `choices`."""
    return [(word.value, word.value.replace("_", " ").title()) for word in words]


OPEN_STATUSES = (SessionStatus.CREATED, SessionStatus.IN_PROGRESS)
ENDED_STATUSES = tuple(status for status in SessionStatus if status not in OPEN_STATUSES)


class Session(TenantOwned):
    """One attempt. `lease_number` counts its connections: only the newest may write.

    `checkpoint` is the flow as of the last answer that reported progress, so that any worker can resume the session.
    `address` is a digest of the network of the last client, `display_name` what an enrolment would call its subject.
    All three are cleared when the session ends. `begun_by`: the id of the API key that made the session, or the kind of
    another actor; empty for a session of an older version. `retell_until`: how long the client, which may not have
    heard the decision, can connect to be told; null once it has heard it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=16, choices=choices_of(SessionKind))
    subject_id = models.CharField(max_length=128, blank=True, default="")
    liveness = models.CharField(max_length=16)
    target_samples = models.PositiveSmallIntegerField()
    device_id = models.CharField(max_length=128, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    display_name = models.CharField(max_length=MAX_DISPLAY_NAME, blank=True, default="", db_default="")
    renewal = models.CharField(
        max_length=9, choices=choices_of(Renewal), default=Renewal.NONE.value, db_default=Renewal.NONE.value
    )
    metadata = models.JSONField(default=dict, blank=True)
    consent = models.JSONField(null=True)
    begun_by = models.CharField(max_length=36, blank=True, default="", db_default="")
    retell_until = models.DateTimeField(null=True)
    status = models.CharField(max_length=16, choices=choices_of(SessionStatus), default=SessionStatus.CREATED)
    token_hash = models.CharField(max_length=64, unique=True)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)
    request_digest = models.CharField(max_length=64)
    lease_number = models.PositiveBigIntegerField(default=0, db_column="fence")
    checkpoint = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="idempotent_per_tenant")]
        indexes = [
            models.Index(fields=["status", "expires_at"], name="session_by_time_limit"),
            models.Index(fields=["tenant", "subject_id"], name="session_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Decision(TenantOwned):
    """The result of a session; immutable. `locked_until` is set when a lockout decided. `attempts_left`: failed
    attempts until one locks, as of the decision; None after a success.

    `evidence` holds the numbers behind the liveness outcome, for operators only: an attacker could tune against them.
    `duplicate_of`, of an enrolment that was refused: the subject that has the face already. Not for the person.
    `display_name` is no column: the subject's name as it was when the decision was made or read, empty without one.
    """

    display_name: str = ""
    session = models.OneToOneField(Session, models.CASCADE, related_name="decision")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="decisions")
    success = models.BooleanField()
    subject_id = models.CharField(max_length=128, blank=True, default="")
    similarity = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    liveness = models.CharField(max_length=16)
    reason = models.CharField(max_length=32, blank=True, default="")
    locked_until = models.DateTimeField(null=True)
    attempts_left = models.PositiveIntegerField(null=True)
    duplicate_of = models.CharField(max_length=128, blank=True, default="", db_default="")
    evidence = models.JSONField(default=dict)
    token = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "subject_id"], name="decision_by_subject")]

    retry_after_ms: int | None = None
    """Milliseconds that were left, at `measure_lock`, of the lock that decided; None when no lock did."""

    def measure_lock(self) -> None:
        """Set `retry_after_ms`. Asks the database for the time, so not for the event loop."""
        if self.locked_until is not None:
            self.retry_after_ms = milliseconds_until(self.locked_until, clock.now())

    def __str__(self) -> str:
        return f"decision on {self.session_id}"


class SessionProbe(ProtectedRow):
    """The probe of a session that matched, protected as a template is: kept while feedback on the match may come, then
    deleted by retention."""

    session = models.OneToOneField(Session, models.CASCADE, related_name="probe")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="session_probes")
    kept_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["kept_at"], name="probe_by_age")]

    def __str__(self) -> str:
        return f"probe of {self.session_id}"


class AttemptKind(models.TextChoices):
    """What a counter of failures belongs to.

    SUBJECT  a claimed person, on every device that is not known for them
    UNNAMED  a claimed person, in sessions that name no device
    DEVICE   a device, for all persons claimed there
    ADDRESS  the network of a client, by its digest
    TENANT   all identifications of a tenant except those on known devices
    """

    SUBJECT = "subject"
    UNNAMED = "unnamed"
    DEVICE = "device"
    ADDRESS = "address"
    TENANT = "tenant"


class FailedAttempts(TenantOwned):
    """One counter of failures. After `stale_at` the row has no effect.

    `failed_at`: [seconds since the epoch, weight] of each failure that may still count, oldest first.
    `waits_until` delays new sessions only; `locked_until` also refuses sessions that are already open.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="failed_attempts")
    kind = models.CharField(max_length=8, choices=AttemptKind)
    key = models.CharField(max_length=128)
    failed_at = models.JSONField(default=list)
    waits_until = models.DateTimeField(null=True)
    locked_until = models.DateTimeField(null=True)
    stale_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "key"], name="one_counter_per_key")]
        indexes = [models.Index(fields=["stale_at"], name="attempts_by_age")]

    def __str__(self) -> str:
        return f"failures of {self.kind} {self.key}"


class KnownDevice(TenantOwned):
    """A device on which a subject has succeeded, in normalised spelling (recognition.sessions.known_devices)."""

    subject = models.ForeignKey(Subject, models.CASCADE, related_name="known_devices")
    device = models.CharField(max_length=128)
    used_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "device"], name="device_is_known_once")]
        indexes = [
            models.Index(fields=["device"], name="known_by_device"),
            models.Index(fields=["used_at"], name="known_by_age"),
        ]

    def __str__(self) -> str:
        return f"device {self.device} of {self.subject_id}"


class SeenFrame(TenantOwned):
    """A digest of a frame that a session sent: 16 hexadecimal digits, from which no picture can be made."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="seen_frames")
    digest = models.CharField(max_length=16)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="frame_is_seen_once")]
        indexes = [models.Index(fields=["seen_at"], name="frames_by_age")]

    def __str__(self) -> str:
        return f"frame {self.digest}"
