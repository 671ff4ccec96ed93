"""Changes of a tenant's subjects and templates, each in one transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from core.types import Embedding
from database.pages import Page, page_after
from gallery import binding, changes
from gallery.matching import Gallery
from gallery.models import Subject, Template
from tenants.models import Tenant
from vocabulary.errors import ErrorCode, ServiceError

ID_PATTERN = r"[A-Za-z0-9._:@-]{1,128}"
"""Pattern of a tenant's own ids of people and devices."""
DOT_SEGMENTS = frozenset({".", ".."})
"""No ids of people: in a URL's path they mean another path (RFC 3986, 5.2.4)."""


class GalleryError(ServiceError):
    """
    GalleryError
    ├── InvalidSubjectId
    ├── SubjectNotFound
    ├── SubjectExists
    ├── TemplateNotFound
    ├── DuplicateFace     the face is enrolled under another subject
    └── DifferentFace     the subject is enrolled with another face
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
    code = ErrorCode.DUPLICATE_FACE


class DifferentFace(GalleryError):
    code = ErrorCode.DIFFERENT_FACE


@dataclass(frozen=True, slots=True)
class Sample:
    """One accepted picture of a face; `quality` 0..1."""

    embedding: Embedding
    quality: float


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
        raise SubjectNotFound(f"there is no subject {subject_id!r}")
    return found


def create_subject(tenant: Tenant, subject_id: str, metadata: dict[str, object], display_name: str = "") -> Subject:
    subject, created = Subject.objects.get_or_create(
        tenant=tenant,
        subject_id=check_subject_id(subject_id),
        defaults={"metadata": metadata, "display_name": display_name},
    )
    if not created:
        raise SubjectExists(f"there is a subject {subject_id!r} already")
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
        lock_subject(tenant, subject_id)
        subject = find_subject(tenant, subject_id)
        if metadata is not None:
            subject.metadata = metadata
        if display_name is not None:
            subject.display_name = display_name
        subject.save(update_fields=["metadata", "display_name"])
    return subject


def lock_subject(tenant: Tenant, subject_id: str) -> None:
    """Lock the subject, if one is named and exists, until the transaction ends.

    Deciding about a subject, changing its templates and erasing it happen one after the other. Locks are taken in one
    order everywhere: sessions, the subject, the tenant's gallery, counters of failed attempts.
    """
    if subject_id:
        Subject.objects.select_for_update(no_key=True).filter(tenant=tenant, subject_id=subject_id).first()


def enroll(
    tenant: Tenant,
    subject_id: str,
    samples: list[Sample],
    gallery: Gallery,
    rules: EnrollmentRules,
    display_name: str = "",
) -> list[Template]:
    """Store every sample as a template of the subject, which is made if new and gets `display_name` if that is given.

    Enrolments of one tenant happen one after the other, so that two of the same face cannot pass
    the duplicate check side by side. Raises DuplicateFace, DifferentFace or OtherModel; then nothing is stored.
    """
    gallery.store.refresh(tenant)  # Before taking the lock that others wait for.
    with transaction.atomic():
        lock_subject(tenant, check_subject_id(subject_id))
        tenant.lock()
        binding.bind(tenant, gallery.model)
        _check_face(tenant, subject_id, samples, gallery, rules)
        subject, _ = Subject.objects.get_or_create(tenant=tenant, subject_id=subject_id)
        if display_name:
            subject.display_name = display_name
            subject.save(update_fields=["display_name"])
        templates = Template.objects.bulk_create(
            Template(
                tenant=tenant,
                subject=subject,
                model_id=gallery.model_id,
                vector=gallery.protection.protect(sample.embedding, tenant),
                quality=sample.quality,
            )
            for sample in samples
        )
        gallery.store.add(tenant, templates)
        changes.log(tenant.pk, [template.pk for template in templates], added=True)
    return templates


def delete_subject(tenant: Tenant, subject_id: str) -> None:
    """Erase a subject and all its templates, everywhere from this commit on."""
    with transaction.atomic():
        lock_subject(tenant, subject_id)
        find_subject(tenant, subject_id).delete()


def delete_template(tenant: Tenant, subject_id: str, public_id: UUID) -> None:
    with transaction.atomic():
        lock_subject(tenant, subject_id)
        deleted, _ = Template.objects.filter(subject=find_subject(tenant, subject_id), public_id=public_id).delete()
        if not deleted:
            raise TemplateNotFound(f"subject {subject_id!r} has no template {public_id}")


def _check_face(
    tenant: Tenant, subject_id: str, samples: list[Sample], gallery: Gallery, rules: EnrollmentRules
) -> None:
    probes = [sample.embedding for sample in samples]
    if gallery.has_other_face(tenant, subject_id, probes, rules.target_fmr):
        raise DifferentFace(f"subject {subject_id!r} is enrolled with another face")
    if rules.duplicate_check and gallery.has_duplicate(tenant, subject_id, probes, rules.target_fpir):
        raise DuplicateFace("the face is enrolled under another subject already")
