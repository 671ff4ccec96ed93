"""Endpoints on single pictures: detect, compare, search, liveness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Form, Router

from audit.chain import Event
from audit.reads import reads
from core.features.values import Quality
from core.liveness.policy import REQUIREMENTS, Policy
from core.types import Embedding
from gallery import people
from gallery.matching import Gallery
from gallery.records.references import record_each
from gallery.similarity import one_number
from recognition import stills
from recognition.api.auth import caller, needs
from recognition.api.errors import ApiError
from recognition.api.openapi.document import A_FACE, A_PICTURE, raises
from recognition.api.schemas import (
    CompareResult,
    DetectedFace,
    DetectResult,
    LivenessResult,
    NotLive,
    SearchMatch,
    SearchResult,
    VerifyResult,
)
from recognition.api.uploads import IMAGE_AND_LIMIT, IMAGE_AND_SUBJECT, ONE_IMAGE, TWO_IMAGES, images, one_image
from recognition.streaming.answers import face_box, frame_quality
from recognition.worker import Worker, of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode
from vocabulary.faces import FaceChoice, Issue
from vocabulary.sessions import Reason
from wire.messages import FaceBox

router = Router(tags=["faces"], auth=needs(Scope.FACES))

Unusable = Literal[Issue.NO_FACE, Issue.MULTIPLE_FACES, Issue.LOOK_STRAIGHT, Issue.FACE_COVERED]
_UNUSABLE: dict[Unusable, str] = {
    Issue.NO_FACE: "the picture shows no face",
    Issue.LOOK_STRAIGHT: "the face lies on its side or upside down: turn the picture upright",
    Issue.FACE_COVERED: "mouth or nose are covered, and the tenant does not allow that",
    Issue.MULTIPLE_FACES: "the picture shows several faces, and none is plainly meant: send one with a single face",
}


@router.post("detect/", response=DetectResult, openapi_extra=ONE_IMAGE, summary="Where is a face, and how good is it")
@raises(*A_PICTURE)
async def detect_faces(request: HttpRequest) -> DetectResult:
    worker, data, tenant = of_request(request), await one_image(request), caller(request).tenant
    look = await stills.read(worker, tenant, data, stills.faces)
    found = [DetectedFace(box=face_box(box), quality=frame_quality(quality)) for box, quality in look.each_face()]
    return DetectResult(faces=found, faces_found=len(found), box=face_box(look.box) if look.box is not None else None)


@router.post(
    "liveness/",
    response=LivenessResult,
    openapi_extra=ONE_IMAGE,
    summary="Is this one picture live",
)
@raises(*A_PICTURE)
async def check_liveness(request: HttpRequest) -> LivenessResult:
    worker, data, tenant = of_request(request), await one_image(request), caller(request).tenant
    quality, score = await stills.read(worker, tenant, data, stills.liveness)
    reasons = _not_live(quality, score, REQUIREMENTS[Policy.PASSIVE].least_live_score(worker.engine.spoof_networks))
    return LivenessResult(live=not reasons, score=one_number(score), reasons=reasons)


@router.post("compare/", response=CompareResult, openapi_extra=TWO_IMAGES, summary="Do two pictures show one person")
@raises(*A_FACE)
async def compare_faces(request: HttpRequest, face: Annotated[FaceChoice | None, Form()] = None) -> CompareResult:
    worker, tenant = of_request(request), caller(request).tenant
    uploads = await images(request, "images")
    if len(uploads) != 2:
        raise ApiError(ErrorCode.VALIDATION_ERROR, f"images: send exactly two, not {len(uploads)}")
    gallery = await worker.gallery_of(tenant)
    first, second = [await find_probe(worker, tenant, gallery, upload.data, face) for upload in uploads]
    found = gallery.compare(first.embedding, second.embedding, worker.settings.target_fmr)
    found = found.raised(max(first.rise, second.rise))
    await worker.database.run(reads.record, tenant.pk, Event(AuditKind.COMPARED, None, {"match": found.matches}))
    return CompareResult(
        similarity=found.similarity,
        threshold=found.threshold,
        match=found.matches,
        faces_found=[first.faces_found, second.faces_found],
        boxes=[first.box, second.box],
    )


@router.post("verify/", response=VerifyResult, openapi_extra=IMAGE_AND_SUBJECT, summary="Is this the subject")
@raises(*A_FACE, ErrorCode.SUBJECT_NOT_FOUND, ErrorCode.INVALID_SUBJECT_ID, ErrorCode.NO_TEMPLATE)
async def verify_subject(
    request: HttpRequest, subject_id: Annotated[str, Form()], face: Annotated[FaceChoice | None, Form()] = None
) -> VerifyResult:
    worker, tenant = of_request(request), caller(request).tenant
    await worker.database.run(people.find_subject, tenant, people.check_subject_id(subject_id))
    gallery = await worker.gallery_of(tenant)
    probe = await find_probe(worker, tenant, gallery, await one_image(request), face)
    target_fmr = worker.settings.target_fmr
    found = await worker.database.run(gallery.verify, tenant, subject_id, probe.embedding, target_fmr)
    if found is None:
        raise ApiError(ErrorCode.NO_TEMPLATE, f"subject {subject_id!r} has no template yet")
    found = found.raised(probe.rise)
    await worker.database.run(people.record_verification, tenant, subject_id, found.matches)
    return VerifyResult(
        similarity=found.similarity,
        threshold=found.threshold,
        match=found.matches,
        excluded=found.excluded,
        faces_found=probe.faces_found,
        box=probe.box,
    )


@router.post("search/", response=SearchResult, openapi_extra=IMAGE_AND_LIMIT, summary="Who is this")
@raises(*A_FACE)
async def search_subjects(
    request: HttpRequest,
    limit: Annotated[int, Form(ge=1, le=100)] = 5,
    face: Annotated[FaceChoice | None, Form()] = None,
) -> SearchResult:
    worker, tenant = of_request(request), caller(request).tenant
    gallery = await worker.gallery_of(tenant)
    probe = await find_probe(worker, tenant, gallery, await one_image(request), face)
    found = await worker.database.run(gallery.identify, tenant, probe.embedding, worker.settings.target_fpir, limit)
    found = found.raised(probe.rise)
    matches = [SearchMatch(subject_id=one.subject_id, similarity=one.similarity) for one in found.matches]
    await worker.database.run(record_each, tenant, [match.subject_id for match in matches], AuditKind.SEARCHED)
    return SearchResult(matches=matches, threshold=found.threshold, faces_found=probe.faces_found, box=probe.box)


def _not_live(quality: Quality, score: float, limit: float) -> list[NotLive]:
    unusable = _unusable(quality)
    if unusable is not None:
        return [unusable]
    return [Reason.SPOOF_SUSPECTED] if score < limit else []


def _unusable(quality: Quality) -> Literal[Issue.NO_FACE, Issue.MULTIPLE_FACES] | None:
    """`no_face` or `multiple_faces`; None when one face is meant."""
    for issue in quality.issues:
        if issue is Issue.NO_FACE or issue is Issue.MULTIPLE_FACES:
            return issue
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """The face that is meant; `rise`: how much more similarity it needs than others."""

    embedding: Embedding
    faces_found: int
    box: FaceBox
    rise: float


async def find_probe(worker: Worker, tenant: Tenant, gallery: Gallery, data: bytes, choice: FaceChoice | None) -> Probe:
    """The face that is meant in a picture, to be compared by this gallery.

    Raises ApiError when there is none, or it is not plain which one it is.
    """
    picture = await stills.read(
        worker, tenant, data, partial(stills.portrait, model_id=gallery.model_id, choice=choice)
    )
    unusable = _unusable(picture.quality) or _unrecognisable(picture, tenant)
    if picture.embedding is None or picture.box is None or unusable is not None:
        found = {"faces_found": picture.faces_found}
        raise ApiError(ErrorCode(unusable or Issue.NO_FACE), _UNUSABLE[unusable or Issue.NO_FACE], found)
    covered = Issue.FACE_COVERED in picture.quality.issues
    rise = gallery.profile.covered_rise if covered else 0.0
    return Probe(picture.embedding, picture.faces_found, face_box(picture.box), rise)


def _unrecognisable(picture: stills.Portrait, tenant: Tenant) -> Unusable | None:
    """Why the face that is meant may not be recognised; None when it may."""
    issues = picture.quality.issues
    if picture.embedding is None and Issue.LOOK_STRAIGHT in issues:
        return Issue.LOOK_STRAIGHT
    return Issue.FACE_COVERED if picture.plainly_covered and not tenant.covered_faces else None
