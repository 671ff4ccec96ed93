"""Questions about single pictures."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Form, Router

from core.liveness.limits import LIVE_SCORE
from core.quality import Issue
from core.types import Embedding
from gallery import people
from gallery.matching import Comparison
from gallery.matching import compare as compare_faces
from recognition import pictures
from recognition import runtime as runtimes
from recognition.answers import face_box, frame_quality
from recognition.api.auth import caller, needs
from recognition.api.schemas import (
    CompareResult,
    DetectedFace,
    DetectResult,
    LivenessResult,
    SearchMatch,
    SearchResult,
)
from recognition.api.uploads import IMAGE_AND_LIMIT, IMAGE_AND_SUBJECT, ONE_IMAGE, TWO_IMAGES, images, one_image
from recognition.http_errors import ApiError
from recognition.runtime import Runtime
from tenants.models import Tenant
from tenants.scopes import Scope

router = Router(tags=["faces"], auth=needs(Scope.FACES))

_UNUSABLE = {Issue.NO_FACE, Issue.MULTIPLE_FACES}


@router.post("detect/", response=DetectResult, openapi_extra=ONE_IMAGE, summary="Where is a face, and how good is it")
async def detect(request: HttpRequest) -> DetectResult:
    runtime, data, tenant = runtimes.current(), await one_image(request), caller(request).tenant
    look = await pictures.read(runtime, tenant, data, pictures.faces)
    found = [DetectedFace(box=face_box(box), quality=frame_quality(quality)) for box, quality in look.each_face()]
    return DetectResult(faces=found)


@router.post(
    "liveness/",
    response=LivenessResult,
    openapi_extra=ONE_IMAGE,
    summary="Is this one picture live",
)
async def liveness(request: HttpRequest) -> LivenessResult:
    runtime, data, tenant = runtimes.current(), await one_image(request), caller(request).tenant
    quality, score = await pictures.read(runtime, tenant, data, pictures.liveness)
    reasons = [str(issue) for issue in quality.issues if issue in _UNUSABLE]
    if not reasons and score < LIVE_SCORE:
        reasons = ["spoof_suspected"]
    return LivenessResult(live=not reasons, score=round(score, 4), reasons=reasons)


@router.post("compare/", response=CompareResult, openapi_extra=TWO_IMAGES, summary="Do two pictures show one person")
async def compare(request: HttpRequest) -> CompareResult:
    runtime, tenant = runtimes.current(), caller(request).tenant
    uploads = await images(request, "images")
    if len(uploads) != 2:
        raise ApiError(422, "validation_error", f"images: send exactly two, not {len(uploads)}")
    first, second = [await _probe(runtime, tenant, upload.data) for upload in uploads]
    return _compared(compare_faces(first, second, runtime.settings.target_fmr))


@router.post("verify/", response=CompareResult, openapi_extra=IMAGE_AND_SUBJECT, summary="Is this the subject")
async def verify(request: HttpRequest, subject_id: Annotated[str, Form()]) -> CompareResult:
    runtime, tenant = runtimes.current(), caller(request).tenant
    await runtime.database.run(people.find_subject, tenant, people.check_subject_id(subject_id))
    probe = await _probe(runtime, tenant, await one_image(request))
    target_fmr = runtime.settings.target_fmr
    found = await runtime.database.run(runtime.gallery.verify, tenant, subject_id, probe, target_fmr)
    if found is None:
        raise ApiError(409, "no_template", f"subject {subject_id!r} has no template yet")
    return _compared(found)


@router.post("search/", response=SearchResult, openapi_extra=IMAGE_AND_LIMIT, summary="Who is this")
async def search(request: HttpRequest, limit: Annotated[int, Form(ge=1, le=100)] = 5) -> SearchResult:
    runtime, tenant = runtimes.current(), caller(request).tenant
    probe = await _probe(runtime, tenant, await one_image(request))
    found = await runtime.database.run(runtime.gallery.identify, tenant, probe, runtime.settings.target_fpir, limit)
    matches = [SearchMatch(subject_id=one.subject_id, similarity=round(one.similarity, 4)) for one in found.matches]
    return SearchResult(matches=matches, threshold=found.threshold)


def _compared(found: Comparison) -> CompareResult:
    return CompareResult(similarity=round(found.similarity, 4), threshold=found.threshold, match=found.matches)


async def _probe(runtime: Runtime, tenant: Tenant, data: bytes) -> Embedding:
    """The embedding of a picture's one face. Raises ApiError when it has none, or several."""
    picture = await pictures.read(runtime, tenant, data, pictures.portrait)
    unusable = [issue for issue in picture.quality.issues if issue in _UNUSABLE]
    if picture.embedding is None or unusable:
        raise ApiError(422, str(unusable[0]), "the picture has no single usable face")
    return picture.embedding
