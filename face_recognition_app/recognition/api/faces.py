"""Endpoints on single pictures: detect, compare, search, liveness."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Form, Router

from core.features.values import Quality
from core.liveness.limits import LIVE_SCORE
from core.types import Embedding
from gallery import matching, people
from gallery.matching import Comparison
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
)
from recognition.api.uploads import IMAGE_AND_LIMIT, IMAGE_AND_SUBJECT, ONE_IMAGE, TWO_IMAGES, images, one_image
from recognition.streaming.answers import face_box, frame_quality
from recognition.worker import Worker, of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.errors import ErrorCode
from vocabulary.faces import Issue
from vocabulary.sessions import Reason

router = Router(tags=["faces"], auth=needs(Scope.FACES))

Unusable = Literal[Issue.NO_FACE, Issue.MULTIPLE_FACES]


@router.post("detect/", response=DetectResult, openapi_extra=ONE_IMAGE, summary="Where is a face, and how good is it")
@raises(*A_PICTURE)
async def detect_faces(request: HttpRequest) -> DetectResult:
    worker, data, tenant = of_request(request), await one_image(request), caller(request).tenant
    look = await stills.read(worker, tenant, data, stills.faces)
    found = [DetectedFace(box=face_box(box), quality=frame_quality(quality)) for box, quality in look.each_face()]
    return DetectResult(faces=found)


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
    reasons = _not_live(quality, score)
    return LivenessResult(live=not reasons, score=round(score, 4), reasons=reasons)


@router.post("compare/", response=CompareResult, openapi_extra=TWO_IMAGES, summary="Do two pictures show one person")
@raises(*A_FACE)
async def compare_faces(request: HttpRequest) -> CompareResult:
    worker, tenant = of_request(request), caller(request).tenant
    uploads = await images(request, "images")
    if len(uploads) != 2:
        raise ApiError(ErrorCode.VALIDATION_ERROR, f"images: send exactly two, not {len(uploads)}")
    first, second = [await _probe(worker, tenant, upload.data) for upload in uploads]
    return _compared(matching.compare(first, second, worker.settings.target_fmr))


@router.post("verify/", response=CompareResult, openapi_extra=IMAGE_AND_SUBJECT, summary="Is this the subject")
@raises(*A_FACE, ErrorCode.SUBJECT_NOT_FOUND, ErrorCode.INVALID_SUBJECT_ID, ErrorCode.NO_TEMPLATE)
async def verify_subject(request: HttpRequest, subject_id: Annotated[str, Form()]) -> CompareResult:
    worker, tenant = of_request(request), caller(request).tenant
    await worker.database.run(people.find_subject, tenant, people.check_subject_id(subject_id))
    probe = await _probe(worker, tenant, await one_image(request))
    target_fmr = worker.settings.target_fmr
    found = await worker.database.run(worker.deciding.gallery.verify, tenant, subject_id, probe, target_fmr)
    if found is None:
        raise ApiError(ErrorCode.NO_TEMPLATE, f"subject {subject_id!r} has no template yet")
    return _compared(found)


@router.post("search/", response=SearchResult, openapi_extra=IMAGE_AND_LIMIT, summary="Who is this")
@raises(*A_FACE)
async def search_subjects(request: HttpRequest, limit: Annotated[int, Form(ge=1, le=100)] = 5) -> SearchResult:
    worker, tenant = of_request(request), caller(request).tenant
    probe = await _probe(worker, tenant, await one_image(request))
    found = await worker.database.run(
        worker.deciding.gallery.identify, tenant, probe, worker.settings.target_fpir, limit
    )
    matches = [SearchMatch(subject_id=one.subject_id, similarity=round(one.similarity, 4)) for one in found.matches]
    return SearchResult(matches=matches, threshold=found.threshold)


def _compared(found: Comparison) -> CompareResult:
    return CompareResult(similarity=round(found.similarity, 4), threshold=found.threshold, match=found.matches)


def _not_live(quality: Quality, score: float) -> list[NotLive]:
    unusable = _unusable(quality)
    if unusable is not None:
        return [unusable]
    return [Reason.SPOOF_SUSPECTED] if score < LIVE_SCORE else []


def _unusable(quality: Quality) -> Unusable | None:
    """`no_face` or `multiple_faces`; None when the picture shows exactly one face."""
    for issue in quality.issues:
        if issue is Issue.NO_FACE or issue is Issue.MULTIPLE_FACES:
            return issue
    return None


async def _probe(worker: Worker, tenant: Tenant, data: bytes) -> Embedding:
    """The embedding of a picture's only face. Raises ApiError when there is none, or several."""
    picture = await stills.read(worker, tenant, data, stills.portrait)
    unusable = _unusable(picture.quality)
    if picture.embedding is None or unusable is not None:
        raise ApiError(ErrorCode(unusable or Issue.NO_FACE), "the picture has no single usable face")
    return picture.embedding
