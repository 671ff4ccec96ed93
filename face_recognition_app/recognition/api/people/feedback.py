"""Endpoint for feedback on a match: "this is not the subject"."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from ninja.errors import ValidationError
from pydantic import ValidationError as Invalid

from core.types import Embedding
from gallery import people
from gallery.feedback import Source
from gallery.matching import Gallery
from recognition import feedback
from recognition.api.auth import Caller, caller, needs
from recognition.api.errors import ApiError
from recognition.api.faces import find_probe
from recognition.api.openapi.document import A_FACE, raises
from recognition.api.schemas import FeedbackRequest, FeedbackResult
from recognition.api.uploads import IMAGE_OR_SESSION, one_image
from recognition.worker import Worker, of_request
from tenants.scopes import Scope
from vocabulary.errors import ErrorCode

router = Router(tags=["subjects"], auth=needs(Scope.SUBJECTS))


@router.post(
    "{subject_id}/feedback/",
    response={200: FeedbackResult, 201: FeedbackResult},
    openapi_extra=IMAGE_OR_SESSION,
    summary="Say that a picture, or a session that matched, did not show this person",
)
@raises(*A_FACE, ErrorCode.SUBJECT_NOT_FOUND, ErrorCode.SESSION_NOT_FOUND, ErrorCode.NO_PROBE)
async def give_feedback(request: HttpRequest, subject_id: str) -> Status[FeedbackResult]:
    worker, who = of_request(request), caller(request)
    await worker.database.run(people.find_subject, who.tenant, subject_id)
    asked = await asyncio.to_thread(_read, request)
    gallery = await worker.gallery_of(who.tenant)
    probe = await _probe(request, worker, who, gallery, asked)
    source = Source(asked.session_id, None if who.key is None else who.key.public_id)
    given = partial(feedback.give, worker.deciding, gallery, who.tenant, subject_id, probe, source)
    rejected = await worker.database.run(given, correct=asked.correct)
    told = FeedbackResult(subject_id=subject_id, correct=asked.correct, rejected=rejected)
    return Status(200 if asked.correct else 201, told)


async def _probe(
    request: HttpRequest, worker: Worker, who: Caller, gallery: Gallery, asked: FeedbackRequest
) -> Embedding:
    if asked.session_id is not None:
        return await worker.database.run(feedback.probe_of, gallery, who.tenant, asked.session_id)
    return (await find_probe(worker, who.tenant, gallery, await one_image(request), asked.face)).embedding


def _read(request: HttpRequest) -> FeedbackRequest:
    """The form's fields, or the JSON body. Raises ApiError or ninja's ValidationError."""
    is_json = request.content_type == "application/json"
    try:
        asked = FeedbackRequest.model_validate(_json(request.body) if is_json else request.POST.dict())
    except Invalid as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise ValidationError(
            [{**problem, "loc": ("body", "feedback", *problem["loc"])} for problem in problems]
        ) from error
    has_image = not is_json and "image" in request.FILES
    if has_image == (asked.session_id is not None):
        raise ApiError(ErrorCode.VALIDATION_ERROR, "send either session_id or the multipart field image")
    return asked


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(ErrorCode.BAD_REQUEST, "the body is not valid JSON") from error
