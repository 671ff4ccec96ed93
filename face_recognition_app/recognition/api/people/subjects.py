"""Endpoints for subjects and their templates."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Form, Query, Router, Status

from core.errors import ImageError
from core.types import Embedding
from gallery import people
from gallery.enrolling.many import Enrolment
from gallery.matching import Gallery
from gallery.models import Renewal, Subject, Template, TemplateOrigin
from gallery.records.references import record_duplicate, record_each, record_reading
from gallery.thresholds import same_person
from recognition import stills
from recognition.api.auth import Caller, caller, needs
from recognition.api.errors import ApiError
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.api.schemas import (
    AcceptedImage,
    NewSubject,
    RejectedImage,
    RejectReason,
    SubjectDetail,
    SubjectPage,
    SubjectPatch,
    TemplateDetail,
    TemplatePage,
    UploadResult,
)
from recognition.api.uploads import IMAGES, MAX_IMAGES_AT_A_TIME, Upload, consent_in_form, images
from recognition.export import collecting
from recognition.export.document import SubjectExport
from recognition.retention.erasure import erase_for_withdrawal, erase_subject, erase_template
from recognition.tokens.receipts import RECEIPT_HEADER
from recognition.worker import Worker, of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode
from vocabulary.faces import FaceChoice
from vocabulary.sessions import Reason

router = Router(tags=["subjects"], auth=needs(Scope.SUBJECTS))
REPLACE = "The new templates take the place of all the subject has, at once."
ALLOW_DIFFERENT_FACE = "With `replace`: the new face need not match the templates that it replaces."
RECEIPT = {
    "responses": {
        204: {
            "headers": {
                RECEIPT_HEADER: {
                    "description": "The signed receipt: a JWS with what was erased.",
                    "schema": {"type": "string"},
                }
            }
        }
    }
}
reading = needs(Scope.SUBJECTS, Scope.READ)


@router.get("", response=SubjectPage, auth=reading, summary="List")
async def list_subjects(request: HttpRequest, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT) -> SubjectPage:
    return await of_request(request).database.run(
        _list, caller(request).tenant, key_in(caller(request).tenant, cursor), limit
    )


@router.post("", response={201: SubjectDetail}, summary="Add a person without a template")
@raises(ErrorCode.INVALID_SUBJECT_ID, ErrorCode.SUBJECT_EXISTS)
async def create_subject(request: HttpRequest, new: NewSubject) -> Status[SubjectDetail]:
    tenant = caller(request).tenant
    subject = await of_request(request).database.run(
        people.create_subject, tenant, new.subject_id, new.metadata, new.display_name
    )
    return Status(201, _detail(subject, 0))


@router.get("{subject_id}/", response=SubjectDetail, auth=reading, summary="Read")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def read_subject(request: HttpRequest, subject_id: str) -> SubjectDetail:
    return await of_request(request).database.run(_read, caller(request).tenant, subject_id)


@router.patch("{subject_id}/", response=SubjectDetail, summary="Replace the name, the metadata or both")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def update_subject(request: HttpRequest, subject_id: str, patch: SubjectPatch) -> SubjectDetail:
    return await of_request(request).database.run(_update, caller(request).tenant, subject_id, patch)


@router.delete(
    "{subject_id}/",
    response={204: None},
    openapi_extra=RECEIPT,
    summary="Erase a person: templates, sessions, devices, locks",
)
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def delete_subject(request: HttpRequest, response: HttpResponse, subject_id: str) -> Status[None]:
    worker = of_request(request)
    receipt = await worker.database.run(erase_subject, worker.deciding, caller(request).tenant, subject_id)
    response[RECEIPT_HEADER] = receipt
    return Status(204, None)


@router.get("{subject_id}/export/", response=SubjectExport, auth=reading, summary="All that is held about a person")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def export_subject(request: HttpRequest, subject_id: str) -> SubjectExport:
    worker = of_request(request)
    protection = worker.deciding.gallery.protection
    return await worker.database.run(collecting.of_subject, caller(request).tenant, subject_id, protection)


@router.delete("{subject_id}/consent/", response={204: None}, summary="Withdraw consent: templates are erased")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def withdraw_consent(request: HttpRequest, subject_id: str) -> Status[None]:
    worker = of_request(request)
    await worker.database.run(erase_for_withdrawal, worker.deciding, caller(request).tenant, subject_id)
    return Status(204, None)


@router.get("{subject_id}/templates/", response=TemplatePage, auth=reading, summary="List the templates")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def list_templates(
    request: HttpRequest, subject_id: str, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT
) -> TemplatePage:
    return await of_request(request).database.run(
        _templates, caller(request).tenant, subject_id, key_in(caller(request).tenant, cursor), limit
    )


@router.post("{subject_id}/templates/", response={201: UploadResult}, openapi_extra=IMAGES, summary="Enrol from images")
@raises(
    ErrorCode.INVALID_SUBJECT_ID,
    ErrorCode.DIFFERENT_FACE,
    ErrorCode.DUPLICATE_FACE,
    ErrorCode.NO_USABLE_FACE,
    ErrorCode.TOO_MANY_TEMPLATES,
    ErrorCode.CONSENT_REQUIRED,
)
async def add_templates(
    request: HttpRequest,
    subject_id: str,
    face: Annotated[FaceChoice | None, Form()] = None,
    replace: Annotated[bool, Query(description=REPLACE)] = False,
    allow_different_face: Annotated[bool, Query(description=ALLOW_DIFFERENT_FACE)] = False,
    consent: Annotated[str | None, Form()] = None,
) -> Status[UploadResult]:
    tenant, worker = caller(request).tenant, of_request(request)
    renewal = renewal_of(replace=replace, allow_different_face=allow_different_face)
    given = consent_in_form(consent)
    people.check_subject_id(subject_id)
    uploads = await images(request, "images")
    if len(uploads) > MAX_IMAGES_AT_A_TIME:
        raise ApiError(ErrorCode.VALIDATION_ERROR, f"images: {MAX_IMAGES_AT_A_TIME} at a time are allowed")
    gallery = await worker.gallery_of(tenant)
    good, rejected = await _sort_out(worker, tenant, gallery, uploads, face)
    if not good:
        details = {"rejected": [image.model_dump() for image in rejected]}
        raise ApiError(ErrorCode.NO_USABLE_FACE, "no image has a usable face", details)
    try:
        samples = [image.sample for image in good]
        person = Enrolment(subject_id, samples, consent=given, renewal=renewal)
        templates = await worker.enrolments.enroll(tenant, gallery, worker.deciding.rules, person)
    except people.DuplicateFace as error:
        raise await worker.database.run(_duplicate, error, caller(request), subject_id) from error
    accepted = [
        AcceptedImage(index=image.upload.index, filename=image.upload.filename, id=template.public_id)
        for image, template in zip(good, templates, strict=True)
    ]
    return Status(201, UploadResult(accepted=accepted, rejected=rejected))


@router.delete("{subject_id}/templates/{uuid:template_id}/", response={204: None}, summary="Erase a template")
@raises(ErrorCode.SUBJECT_NOT_FOUND, ErrorCode.TEMPLATE_NOT_FOUND)
async def delete_template(request: HttpRequest, subject_id: str, template_id: uuid.UUID) -> Status[None]:
    tenant = caller(request).tenant
    await of_request(request).database.run(erase_template, tenant, subject_id, template_id)
    return Status(204, None)


def renewal_of(*, replace: bool, allow_different_face: bool) -> Renewal:
    """Raises ApiError when another face is allowed, and nothing replaced."""
    if not replace and allow_different_face:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "allow_different_face: only with replace")
    if not replace:
        return Renewal.NONE
    return Renewal.UNCHECKED if allow_different_face else Renewal.REPLACE


def _duplicate(error: people.DuplicateFace, who: Caller, subject_id: str) -> ApiError:
    """The refusal, which names the other subject to those who may read subjects. Then that is recorded."""
    if not who.reads_subjects:
        return ApiError(error.code, error.message)
    record_duplicate(who.tenant, subject_id, error.other.subject_id)
    other = {"subject_id": error.other.subject_id, "similarity": error.other.similarity}
    return ApiError(error.code, error.message, other)


@dataclass(frozen=True, slots=True)
class _GoodImage:
    upload: Upload
    sample: people.Sample


async def _sort_out(
    worker: Worker, tenant: Tenant, gallery: Gallery, uploads: list[Upload], choice: FaceChoice | None
) -> tuple[list[_GoodImage], list[RejectedImage]]:
    good: list[_GoodImage] = []
    rejected: list[RejectedImage] = []
    for upload in uploads:
        known = good[0].sample.embedding if good else None
        found = await _sample(worker, tenant, gallery, upload.data, choice, known)
        if isinstance(found, people.Sample):
            good.append(_GoodImage(upload, found))
        else:
            rejected.append(RejectedImage(index=upload.index, filename=upload.filename, reason=found))
    return good, rejected


async def _sample(
    worker: Worker,
    tenant: Tenant,
    gallery: Gallery,
    data: bytes,
    choice: FaceChoice | None,
    known: Embedding | None,
) -> people.Sample | RejectReason:
    """The sample from one picture, or the reason why there is none."""
    keep = tenant.picture_days > 0
    reader = partial(stills.portrait, model_id=gallery.model_id, choice=choice, with_picture=keep)
    try:
        picture = await stills.read(worker, tenant, data, reader)
    except ImageError as error:
        return error.code
    if picture.embedding is None or picture.quality.issues:
        return picture.quality.issues[0]
    if known is not None and float(known @ picture.embedding) < same_person(gallery.profile):
        return Reason.FACE_CHANGED
    return people.Sample(picture.embedding, picture.quality.score, picture.picture)


def _list(tenant: Tenant, after: int, limit: int) -> SubjectPage:
    found = people.list_subjects(tenant, after, limit)
    counts = people.count_templates(found.rows)
    items = [_detail(row, counts.get(row.pk, 0)) for row in found.rows]
    record_each(tenant, [item.subject_id for item in items], AuditKind.SUBJECT_LISTED)
    return SubjectPage(items=items, next_cursor=cursor_for(tenant, found.last_key))


def _read(tenant: Tenant, subject_id: str) -> SubjectDetail:
    subject = people.find_subject(tenant, subject_id)
    detail = _detail(subject, subject.templates.count())
    record_reading(tenant, subject_id, AuditKind.SUBJECT_READ)
    return detail


def _update(tenant: Tenant, subject_id: str, patch: SubjectPatch) -> SubjectDetail:
    subject = people.update_subject(tenant, subject_id, patch.metadata, patch.display_name)
    return _detail(subject, subject.templates.count())


def _templates(tenant: Tenant, subject_id: str, after: int, limit: int) -> TemplatePage:
    found = people.list_templates(tenant, subject_id, after, limit)
    record_reading(tenant, subject_id, AuditKind.TEMPLATES_READ, templates=len(found.rows))
    return TemplatePage(items=[_template(row) for row in found.rows], next_cursor=cursor_for(tenant, found.last_key))


def _template(row: Template) -> TemplateDetail:
    return TemplateDetail(
        id=row.public_id, quality=row.quality, origin=TemplateOrigin(row.origin), created_at=row.created_at
    )


def _detail(subject: Subject, templates: int) -> SubjectDetail:
    return SubjectDetail(
        subject_id=subject.subject_id,
        display_name=subject.display_name,
        metadata=subject.metadata,
        templates=templates,
        created_at=subject.created_at,
    )
