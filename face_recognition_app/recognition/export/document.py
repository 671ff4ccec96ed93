"""The document with everything that is held about a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from core.liveness.policy import Policy
from gallery.models import Renewal, TemplateOrigin
from gallery.records.consents import GivenBy
from recognition.models import AttemptKind
from vocabulary.audit import ActorKind, AuditKind
from vocabulary.jobs import JobStatus, JobType, Priority
from vocabulary.sessions import LivenessOutcome, Reason, SessionKind, SessionStatus
from vocabulary.webhooks import DeliveryStatus, EventType


class ExportedPerson(BaseModel):
    """`reference` stands for the person in the audit trail. `seen_at`: time of the last success."""

    subject_id: str
    display_name: str
    metadata: dict[str, Any]
    reference: str
    created_at: datetime
    seen_at: datetime | None


class ExportedConsent(BaseModel):
    text: str
    version: str
    given_by: GivenBy
    given_at: datetime
    withdrawn_at: datetime | None


class ExportedPicture(BaseModel):
    """The aligned crop of the face, PNG in base64; null when the tenant's secrets were deleted, and it with them."""

    png: str | None
    created_at: datetime


class ExportedTemplate(BaseModel):
    """Without the vector, which is no help to a person and would be a risk in other hands.

    `moving_to`: the model that has embedded the picture, too, while the gallery is moved to it. `imported_from`: the
    SHA-256 of the file that an import made it from, in hexadecimal digits.
    """

    id: UUID
    model_id: str
    quality: float | None
    origin: TemplateOrigin
    created_at: datetime
    picture: ExportedPicture | None
    moving_to: str | None
    imported_from: str | None


class ExportedFeedback(BaseModel):
    """A picture, of a session or sent by itself, that was said not to show the person. Without its vector."""

    session: UUID | None
    created_at: datetime


class ExportedDecision(BaseModel):
    success: bool
    subject_id: str
    similarity: float | None
    threshold: float | None
    liveness: LivenessOutcome
    reason: Reason | None
    locked_until: datetime | None
    attempts_left: int | None
    duplicate_of: str
    evidence: dict[str, Any]
    decision_token: str
    created_at: datetime


class ExportedSession(BaseModel):
    """`checkpoint_characters`: size of the state of an open session, which has samples of the face; 0 when it ended.
    `address`: a keyed digest of the client's network. `probe_kept_at`: since when the vector that matched is kept."""

    id: UUID
    kind: SessionKind
    subject_id: str
    liveness: Policy
    device_id: str
    address: str
    display_name: str
    metadata: dict[str, Any]
    consent: dict[str, Any] | None
    renewal: Renewal
    status: SessionStatus
    checkpoint_characters: int
    created_at: datetime
    started_at: datetime | None
    expires_at: datetime
    probe_kept_at: datetime | None
    decision: ExportedDecision | None


class ExportedAttempts(BaseModel):
    """Failures that claimed to be the person. `failed_at`: seconds since the epoch and weight of each."""

    kind: AttemptKind
    failed_at: list[list[float]]
    waits_until: datetime | None
    locked_until: datetime | None
    stale_at: datetime


class ExportedDevice(BaseModel):
    device_id: str
    used_at: datetime


class ExportedJob(BaseModel):
    """A background job that names the person. `actor`: who asked for it. Sizes stand for what the job keeps for itself
    (`checkpoint_characters`), for what it has answered, which may be an export (`result_characters`), and for what the
    operator keeps of its failures (`dead_letters`)."""

    id: UUID
    type: JobType
    priority: Priority
    status: JobStatus
    subject_id: str
    payload: dict[str, Any]
    error: str
    done: int
    total: int | None
    checkpoint_characters: int
    result_characters: int
    dead_letters: int
    actor: dict[str, str]
    request_id: str
    run_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ExportedDelivery(BaseModel):
    """An event about the person for a webhook of the tenant. `sent`: its text, also where it was not delivered yet."""

    id: UUID
    webhook: UUID
    type: EventType
    status: DeliveryStatus
    sent: str
    answers: list[str]
    created_at: datetime
    finished_at: datetime | None


class ExportedEntry(BaseModel):
    sequence: int
    at: datetime
    kind: AuditKind
    actor_kind: ActorKind
    actor_id: str
    actor_name: str
    request_id: str
    details: dict[str, Any]


class SubjectExport(BaseModel):
    subject: ExportedPerson
    consents: list[ExportedConsent]
    templates: list[ExportedTemplate]
    feedback: list[ExportedFeedback]
    sessions: list[ExportedSession]
    failed_attempts: list[ExportedAttempts]
    known_devices: list[ExportedDevice]
    jobs: list[ExportedJob]
    webhook_deliveries: list[ExportedDelivery]
    audit: list[ExportedEntry]
