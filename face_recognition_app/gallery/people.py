"""Changes of a tenant's subjects and templates, each in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count

from core.types import Embedding
from database import clock, rows
from database.pages import Page, page_after
from gallery import binding, changes, feedback, pictures
from gallery.matching import Gallery
from gallery.models import Feedback, Renewal, Subject, Template, TemplateOrigin
from gallery.protection.errors import KeysUnavailable, Tampered
from gallery.records.references import record_about
from gallery.stores.base import Candidate
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode, ServiceError
from vocabulary.webhooks import EventType
from webhooks.outbox import Event, note

ID_PATTERN = r"[A-Za-z0-9._:@-]{1,128}"
"""Pattern of a tenant's own ids of people and devices."""
MAX_TEMPLATES = 20
"""Most templates of a subject, adaptive ones aside. Each is one more comparison, for which all need more similarity."""
DOT_SEGMENTS = frozenset({".", ".."})
"""No ids of people: in a URL's path they mean another path (RFC 3986, 5.2.4)."""


class GalleryError(ServiceError):
    """
    GalleryError
    ├── InvalidSubjectId
    ├── SubjectNotFound
    ├── SubjectExists
    ├── TemplateNotFound
    ├── ConsentRequired   the tenant needs a record of consent (gallery.records.consents)
    ├── DuplicateFace     the face is enrolled under another subject
    ├── DifferentFace     the subject is enrolled with another face
    └── TooManyTemplates  the subject would have more than MAX_TEMPLATES
    """


class InvalidSubjectId(GalleryError):
    code = ErrorCode.INVALID_SUBJECT_ID


class SubjectNotFound(GalleryError):
    code = ErrorCode.SUBJECT_NOT_FOUND


class SubjectExists(GalleryError):
    code = ErrorCode.SUBJECT_EXISTS


class TemplateNotFound(GalleryError):
    code = ErrorCode.TEMPLATE_NOT_FOUND


class DuplicateFace(GalleryError):
    """`other` is for callers that may read subjects; no message names it."""

    code = ErrorCode.DUPLICATE_FACE

    def __init__(self, message: str, other: Candidate) -> None:
        super().__init__(message, other)
        self.other = other


class DifferentFace(GalleryError):
    code = ErrorCode.DIFFERENT_FACE


class TooManyTemplates(GalleryError):
    code = ErrorCode.TOO_MANY_TEMPLATES


ORIGINS = {
    Renewal.NONE: TemplateOrigin.ENROLLED,
    Renewal.REPLACE: TemplateOrigin.RENEWED,
    Renewal.UNCHECKED: TemplateOrigin.UNCHECKED,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One accepted picture of a face; `quality` 0..1, None when it was not rated. `picture`: the aligned crop as PNG,
    empty when nobody may keep it."""

    embedding: Embedding
    quality: float | None
    picture: bytes = b""


@dataclass(frozen=True, slots=True)
class LockedSubject:
    """A subject that a transaction has locked; `row` is None when it had none then."""

    tenant: Tenant
    subject_id: str
    row: Subject | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an enrolment has stored. `replaced`: number of templates that it has deleted."""

    subject: Subject
    templates: list[Template]
    renewal: Renewal
    replaced: int


@dataclass(frozen=True, slots=True)
class EnrollmentRules:
    duplicate_check: bool
    target_fpir: float
    target_fmr: float


def _is_valid(subject_id: str) -> bool:
    return re.fullmatch(ID_PATTERN, subject_id) is not None


def check_subject_id(subject_id: str) -> str:
    """Raises InvalidSubjectId for what cannot become a subject's id."""
    if not _is_valid(subject_id) or subject_id in DOT_SEGMENTS:
        raise InvalidSubjectId("a subject_id is 1 to 128 of letters, digits and . _ : @ - and neither . nor ..")
    return subject_id


def find_subject(tenant: Tenant, subject_id: str) -> Subject:
    """Raises SubjectNotFound. Finds what an older version has called `.` or `..`, too, so that it can be deleted."""
    found = Subject.objects.filter(tenant=tenant, subject_id=subject_id).first() if _is_valid(subject_id) else None
    if found is None:
        raise _not_found(subject_id)
    return found


def _not_found(subject_id: str) -> SubjectNotFound:
    return SubjectNotFound(f"there is no subject {subject_id!r}")


def create_subject(tenant: Tenant, subject_id: str, metadata: dict[str, object], display_name: str = "") -> Subject:
    with transaction.atomic():
        subject, created = Subject.objects.get_or_create(
            tenant=tenant,
            subject_id=check_subject_id(subject_id),
            defaults={"metadata": metadata, "display_name": display_name},
        )
        if not created:
            raise SubjectExists(f"there is a subject {subject_id!r} already")
        record_about(tenant, subject_id, AuditKind.SUBJECT_CREATED)
        note(tenant, Event(EventType.SUBJECT_CREATED, {"subject_id": subject_id}, subject_id))
    return subject


def display_name(tenant: Tenant, subject_id: str) -> str:
    """The subject's name; empty without one, and without such a subject."""
    found = Subject.objects.filter(tenant=tenant, subject_id=subject_id) if subject_id else Subject.objects.none()
    return found.values_list("display_name", flat=True).first() or ""


def list_subjects(tenant: Tenant, after: int, limit: int) -> Page[Subject]:
    return page_after(Subject.objects.filter(tenant=tenant), after, limit)


def count_templates(subjects: list[Subject]) -> dict[int, int]:
    """Number of templates by the subject's primary key, without subjects that have none."""
    templates = Template.objects.filter(subject__in=subjects)
    return dict(templates.values_list("subject_id").annotate(Count("pk")).order_by())


def list_templates(tenant: Tenant, subject_id: str, after: int, limit: int) -> Page[Template]:
    """Raises SubjectNotFound."""
    return page_after(Template.objects.filter(subject=find_subject(tenant, subject_id)), after, limit)


def update_subject(
    tenant: Tenant, subject_id: str, metadata: dict[str, object] | None, display_name: str | None
) -> Subject:
    """Replace what is not None. Raises SubjectNotFound."""
    with transaction.atomic():
        subject = _locked_row(tenant, subject_id)
        if metadata is not None:
            subject.metadata = metadata
        if display_name is not None:
            subject.display_name = display_name
        subject.save(update_fields=["metadata", "display_name"])
        changed = {"metadata": metadata is not None, "display_name": display_name is not None}
        record_about(tenant, subject_id, AuditKind.SUBJECT_CHANGED, **changed)
        note(tenant, Event(EventType.SUBJECT_UPDATED, {"subject_id": subject_id, **changed}, subject_id))
    return subject


def lock_subject(tenant: Tenant, subject_id: str) -> LockedSubject:
    """Lock the subject, if one is named and exists, until the transaction ends.

    Deciding about a subject, changing its templates and erasing it happen one after the other. Locks are taken in one
    order everywhere: sessions, the subject, the tenant's gallery, counters of failed attempts, the audit trail.
    """
    row = rows.lock(Subject, tenant_id=tenant.pk, subject_id=subject_id) if subject_id else None
    return LockedSubject(tenant, subject_id, row)


def _locked_row(tenant: Tenant, subject_id: str) -> Subject:
    """Raises SubjectNotFound."""
    row = lock_subject(tenant, subject_id).row if _is_valid(subject_id) else None
    if row is None:
        raise _not_found(subject_id)
    return row


def enroll(
    locked: LockedSubject,
    samples: list[Sample],
    gallery: Gallery,
    rules: EnrollmentRules,
    display_name: str = "",
    renewal: Renewal = Renewal.NONE,
    *,
    limited: bool = True,
) -> Enrolled:
    """Store every sample as a template of the subject, which is made if new and gets `display_name` if that is given.

    Enrolments of one tenant happen one after the other, so that two of the same face cannot pass the duplicate check
    side by side. A renewal is one transaction: at every moment either all old templates are there, or all new ones.
    Runs in the caller's transaction, which records it in the audit trail as the last, and is rolled back after an
    error. Raises InvalidSubjectId, DuplicateFace, DifferentFace, OtherModel, or if `limited` TooManyTemplates.
    """
    tenant, subject_id = locked.tenant, check_subject_id(locked.subject_id)
    tenant.lock()
    binding.bind(tenant, gallery.model)
    subject, is_new = (locked.row, False) if locked.row is not None else _made(tenant, subject_id, display_name)
    if limited and renewal is Renewal.NONE:
        _check_room(subject_id, 0 if is_new else _number_enrolled(tenant, subject_id), len(samples))
    same_face = not is_new and renewal is not Renewal.UNCHECKED
    _check_face(tenant, subject_id, samples, gallery, rules, same_face=same_face)
    if display_name and subject.display_name != display_name:
        subject.display_name = display_name
        subject.save(update_fields=["display_name"])
    old = [] if is_new or renewal is Renewal.NONE else list(subject.templates.values_list("pk", flat=True))
    templates = store_templates(tenant, subject, samples, gallery, ORIGINS[renewal])
    if old:
        Template.objects.filter(subject=subject, pk__in=old).delete()
    return Enrolled(subject, templates, renewal, len(old))


def _made(tenant: Tenant, subject_id: str, display_name: str) -> tuple[Subject, bool]:
    """A subject that had no row when it was locked, and whether it is new: others may have made it since."""
    try:
        with transaction.atomic():
            return Subject.objects.create(tenant=tenant, subject_id=subject_id, display_name=display_name), True
    except IntegrityError:
        return find_subject(tenant, subject_id), False


def ensure_room(tenant: Tenant, subject_id: str, samples: int) -> None:
    """Raises TooManyTemplates when the subject would have too many with `samples` more."""
    _check_room(subject_id, _number_enrolled(tenant, subject_id), samples)


def _number_enrolled(tenant: Tenant, subject_id: str) -> int:
    held = Template.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id)
    return held.exclude(origin=TemplateOrigin.ADAPTIVE).count()


def _check_room(subject_id: str, enrolled: int, samples: int) -> None:
    if enrolled + samples > MAX_TEMPLATES:
        raise TooManyTemplates(
            f"subject {subject_id!r} has {enrolled} templates and may have {MAX_TEMPLATES}: "
            "delete some, or replace them all"
        )


def store_templates(
    tenant: Tenant, subject: Subject, samples: Sequence[Sample], gallery: Gallery, origin: TemplateOrigin
) -> list[Template]:
    """Store templates in the caller's transaction, without any check."""
    vectors = gallery.protection.protect([sample.embedding for sample in samples], tenant)
    templates = Template.objects.bulk_create(
        Template(
            tenant=tenant,
            subject=subject,
            model_id=gallery.model_id,
            vector=vector,
            quality=sample.quality,
            origin=origin,
        )
        for sample, vector in zip(samples, vectors, strict=True)
    )
    shown = [(template, sample.picture) for template, sample in zip(templates, samples, strict=True)]
    pictures.keep(tenant, shown, gallery.protection)
    gallery.store.add(tenant, templates)
    changes.log(tenant.pk, [template.pk for template in templates], added=True)
    return templates


def forget_feedback(tenant: Tenant, subject_id: str, gallery: Gallery, target_fmr: float) -> int:
    """Forget rejected pictures of the subject's face, whomever they are kept with.

    Returns how many of the tenant's could not be compared with the face: the subject's templates, or they themselves,
    cannot be read now, or never again. That hinders no erasure, which needs no reading.
    """
    try:
        templates = gallery.store.of_subject(tenant, subject_id)
    except (KeysUnavailable, Tampered):
        return Feedback.objects.filter(tenant=tenant, model_id=gallery.model_id).count()
    threshold = threshold_for(target_fmr, len(templates), gallery.profile)
    return feedback.forget_face(tenant, templates, gallery.model_id, gallery.protection, threshold)


def note_success(tenant: Tenant, subject_id: str) -> None:
    """Note that the subject was recognised now: its expiry counts from then."""
    Subject.objects.filter(tenant=tenant, subject_id=subject_id).update(seen_at=clock.in_query())


def record_verification(tenant: Tenant, subject_id: str, matches: bool) -> None:
    with transaction.atomic():
        if matches:
            note_success(tenant, subject_id)
        record_about(tenant, subject_id, AuditKind.VERIFIED, match=matches)


def delete_subject(tenant: Tenant, subject_id: str) -> None:
    """Erase a subject and all its templates, everywhere from this commit on. The caller records it."""
    with transaction.atomic():
        _locked_row(tenant, subject_id).delete()


def delete_template(tenant: Tenant, subject_id: str, public_id: UUID) -> None:
    """Erase one template. Adaptive templates go with the last one that was enrolled, for which they stand."""
    with transaction.atomic():
        own = Template.objects.filter(subject=_locked_row(tenant, subject_id))
        deleted, _ = own.filter(public_id=public_id).delete()
        if not deleted:
            raise TemplateNotFound(f"subject {subject_id!r} has no template {public_id}")
        if not own.exclude(origin=TemplateOrigin.ADAPTIVE).exists():
            own.delete()
        record_about(tenant, subject_id, AuditKind.TEMPLATE_ERASED, template=str(public_id))
        told = {"subject_id": subject_id, "template_id": str(public_id)}
        note(tenant, Event(EventType.TEMPLATE_DELETED, told, subject_id))


def _check_face(
    tenant: Tenant,
    subject_id: str,
    samples: list[Sample],
    gallery: Gallery,
    rules: EnrollmentRules,
    *,
    same_face: bool,
) -> None:
    probes = [sample.embedding for sample in samples]
    if same_face and gallery.has_other_face(tenant, subject_id, probes, rules.target_fmr):
        raise DifferentFace(f"subject {subject_id!r} is enrolled with another face")
    if rules.duplicate_check:
        others = gallery.duplicates(tenant, subject_id, probes, rules.target_fpir).candidates
        if others:
            raise DuplicateFace("the face is enrolled under another subject already", others[0])
