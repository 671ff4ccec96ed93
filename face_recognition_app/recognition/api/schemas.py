"""Request and response types of the REST API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from core.liveness.policy import Policy
from gallery.models import TemplateOrigin
from gallery.names import CONSENT_NAME, MAX_CONSENT_NAME, MAX_DISPLAY_NAME, display_name_of
from gallery.people import ID_PATTERN
from gallery.records.consents import GivenBy, GivenConsent
from gallery.records.metadata import storable_metadata
from vocabulary.errors import HTTP, ErrorCode, ImageCode
from vocabulary.faces import Action, FaceChoice, Issue
from vocabulary.sessions import LivenessOutcome, Place, Reason, SessionKind, SessionStatus
from wire.messages import ChallengeInfo, FaceBox, FrameQuality

Metadata = Annotated[dict[str, Any], AfterValidator(storable_metadata)]


DisplayName = Annotated[
    str, AfterValidator(display_name_of), WithJsonSchema({"type": "string", "maxLength": MAX_DISPLAY_NAME})
]
"""Trimmed, in NFC and without control characters; empty for none."""

ConsentName = Annotated[str, Field(min_length=1, max_length=MAX_CONSENT_NAME, pattern=CONSENT_NAME)]

RejectReason = Issue | ImageCode | Literal[Reason.FACE_CHANGED]
"""Why an image of an upload became no template."""
NotLive = Literal[Issue.NO_FACE, Issue.MULTIPLE_FACES, Reason.SPOOF_SUSPECTED]
"""Why one picture does not show a living face."""


HttpCode = Annotated[ErrorCode, WithJsonSchema({"type": "string", "enum": [str(code) for code in HTTP]})]
"""The error codes that occur over REST."""


class FieldProblem(Schema):
    field: str
    message: str


class ErrorDetail(Schema):
    """`details` are named ones, or for `validation_error` the wrong fields. Where waiting helps they have
    `retry_after_ms`."""

    code: HttpCode
    message: str
    details: dict[str, Any] | list[FieldProblem] | None


class ErrorEnvelope(Schema):
    error: ErrorDetail
    request_id: str


class Request(Schema):
    model_config = ConfigDict(extra="forbid")


class NewConsent(Request):
    """`text` and `version` name the words that the person agreed to."""

    text: ConsentName
    version: ConsentName

    def given(self, by: GivenBy) -> GivenConsent:
        return GivenConsent(self.text, self.version, by)


class NewSession(Request):
    kind: SessionKind
    subject_id: str | None = Field(None, description="Required but for an identification.")
    liveness: Policy | None = Field(None, description="Null: the tenant's own.")
    avoid: list[Action] = Field(
        default_factory=list, description="What this person cannot do; a challenge leaves it out."
    )
    challenge_version: Literal[1, 2, 3] = Field(
        2, description="What the client can show: 1 is blink, turn_left and turn_right; 2 every movement; 3 light, too."
    )
    target_samples: int | None = Field(None, ge=1, le=10, description="Good samples of an enrolment.")
    device_id: str | None = Field(
        None, pattern=f"^{ID_PATTERN}$", description="Your id of the device; failed attempts are counted for it, too."
    )
    display_name: DisplayName = Field("", description="Of an enrolment: the person's name, kept when it succeeds.")
    replace: bool = Field(
        False,
        description="Of an enrolment: the new templates take the place of all that the subject has, at once. Needs the "
        "scope `subjects`.",
    )
    allow_different_face: bool = Field(
        False, description="With `replace`: the new face need not match the templates that it replaces."
    )
    metadata: Metadata = Field(default_factory=dict)
    consent: NewConsent | None = Field(None, description="Of an enrolment: kept with the person when it succeeds.")

    @model_validator(mode="after")
    def _subject_fits_kind(self) -> NewSession:
        if (self.subject_id is None) != (self.kind is SessionKind.IDENTIFICATION):
            raise ValueError("subject_id is required, except for an identification, which takes none")
        if self.display_name and self.kind is not SessionKind.ENROLLMENT:
            raise ValueError("display_name is for an enrollment")
        if self.replace and self.kind is not SessionKind.ENROLLMENT:
            raise ValueError("replace is for an enrollment")
        if self.allow_different_face and not self.replace:
            raise ValueError("allow_different_face needs replace")
        if self.consent is not None and self.kind is not SessionKind.ENROLLMENT:
            raise ValueError("consent is for an enrollment")
        return self


class CreatedSession(Schema):
    id: UUID
    token: str
    websocket_url: str
    expires_at: datetime
    status: SessionStatus
    challenge: ChallengeInfo | None


class DecisionDetail(Schema):
    """`matched` is true only when the session succeeded, liveness and all; null for an enrolment.

    `similarity` is the raw cosine of the best comparison, null when none was made.
    `retry_after_s` is what is left of the lock that decided, null when none did.
    `evidence` has the numbers that liveness stood on: to see why, not to show to the person.
    `display_name` is the subject's as it is now; null without one, and without a subject.
    `duplicate_of` is the subject that has the face of a refused enrolment; null for a key that may not read subjects.
    """

    subject_id: str | None
    display_name: str | None
    matched: bool | None
    similarity: float | None
    threshold: float | None
    liveness: LivenessOutcome
    reasons: list[Reason]
    retry_after_s: int | None
    duplicate_of: str | None
    evidence: dict[str, Any]


class SessionDetail(Schema):
    id: UUID
    kind: SessionKind
    subject_id: str | None
    liveness: Policy
    target_samples: int
    device_id: str | None
    metadata: dict[str, Any]
    status: SessionStatus
    created_at: datetime
    expires_at: datetime
    decision: DecisionDetail | None
    decision_token: str | None


class LockDetail(Schema):
    """`unknown_devices`: where the person never succeeded; `unnamed_device`: sessions that name none; or one device."""

    applies_to: Place
    device_id: str | None
    retry_after_s: int


class SubjectLocks(Schema):
    subject_id: str
    locks: list[LockDetail]


class NewSubject(Request):
    subject_id: str
    display_name: DisplayName = ""
    metadata: Metadata = Field(default_factory=dict)


class SubjectPatch(Request):
    """What is null stays as it is."""

    display_name: DisplayName | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> SubjectPatch:
        if self.display_name is None and self.metadata is None:
            raise ValueError("send display_name, metadata or both")
        return self


class SubjectDetail(Schema):
    """`display_name` is empty when none was set."""

    subject_id: str
    display_name: str
    metadata: dict[str, Any]
    templates: int
    created_at: datetime


class SubjectPage(Schema):
    items: list[SubjectDetail]
    next_cursor: str | None


class TemplateDetail(Schema):
    """`quality` is null for an adaptive template, whose picture was not rated."""

    id: UUID
    quality: float | None
    origin: TemplateOrigin
    created_at: datetime


class TemplatePage(Schema):
    items: list[TemplateDetail]
    next_cursor: str | None


class FeedbackRequest(Request):
    """An image is sent if no session is named. `correct`: false for "this is not the subject"; true takes it back."""

    correct: bool
    session_id: UUID | None = None
    face: FaceChoice | None = None


class FeedbackResult(Schema):
    """`rejected`: pictures that are kept as not showing the subject."""

    subject_id: str
    correct: bool
    rejected: int


class AcceptedImage(Schema):
    index: int
    filename: str
    id: UUID


class RejectedImage(Schema):
    index: int
    filename: str
    reason: RejectReason


class UploadResult(Schema):
    accepted: list[AcceptedImage]
    rejected: list[RejectedImage]


class DetectedFace(Schema):
    box: FaceBox
    quality: FrameQuality


class DetectResult(Schema):
    """`box`: of the face that other operations would use."""

    faces: list[DetectedFace]
    faces_found: int
    box: FaceBox | None


class LivenessResult(Schema):
    live: bool
    score: float
    reasons: list[NotLive]


class CompareResult(Schema):
    """`faces_found` in each picture; `boxes` of the faces that were compared."""

    similarity: float
    threshold: float
    match: bool
    faces_found: list[int]
    boxes: list[FaceBox]


class VerifyResult(Schema):
    """`faces_found` in the picture; `box` of the one that was compared. `excluded`: no match, however similar, because
    feedback says that such a picture does not show the subject."""

    similarity: float
    threshold: float
    match: bool
    excluded: bool
    faces_found: int
    box: FaceBox


class SearchMatch(Schema):
    subject_id: str
    similarity: float


class SearchResult(Schema):
    """`faces_found` in the picture; `box` of the one that was searched for."""

    matches: list[SearchMatch]
    threshold: float
    faces_found: int
    box: FaceBox
