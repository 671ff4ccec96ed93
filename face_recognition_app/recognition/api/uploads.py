"""Reads pictures, and the consent that comes with them, from requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from pydantic import ValidationError

from gallery.records.consents import GivenConsent
from recognition.api.errors import ApiError
from recognition.api.openapi.allowances import MAX_IMAGES
from recognition.api.schemas import NewConsent
from vocabulary.errors import ErrorCode
from vocabulary.faces import FaceChoice
from web.access.body_limit import SMALL_BYTES

MAX_IMAGES_AT_A_TIME = 10


def _multipart(field: str, *, several: bool = False, required: tuple[str, ...] = (), **others: Any) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    properties = {field: {"type": "array", "items": file} if several else file, **others}
    schema = {"type": "object", "properties": properties, "required": [field, *required]}
    return {"multipart/form-data": {"schema": schema}}


def _body(content: dict[str, Any], images: int = 1) -> dict[str, Any]:
    """The `requestBody` of the OpenAPI document, from which allowances.py reads size and type limits."""
    return {"requestBody": {"required": True, "content": content, MAX_IMAGES: images}}


WHICH_FACE = {"type": "string", "enum": [str(choice) for choice in FaceChoice]}
"""Form field `face`: whether bystanders are ignored or refused; as the service is configured when it is not sent."""

CONSENT = {"type": "string", "description": "JSON `{text, version}`: the words that the person agreed to."}
"""Form field `consent`: as in a session."""

_SESSION_ID = {"type": "string", "format": "uuid"}
ONE_IMAGE = _body(_multipart("image") | {"image/*": {"schema": {"type": "string", "format": "binary"}}})
"""What `one_image` reads."""
TWO_IMAGES = _body(_multipart("images", several=True, face=WHICH_FACE), 2)
IMAGES = _body(_multipart("images", several=True, face=WHICH_FACE, consent=CONSENT), MAX_IMAGES_AT_A_TIME)
"""What `images` reads."""
IMAGE_AND_SUBJECT = _body(_multipart("image", required=("subject_id",), subject_id={"type": "string"}, face=WHICH_FACE))
IMAGE_AND_LIMIT = _body(
    _multipart("image", limit={"type": "integer", "minimum": 1, "maximum": 100, "default": 5}, face=WHICH_FACE)
)


IMAGE_OR_SESSION = _body(
    _multipart("image", required=("correct",), correct={"type": "boolean"}, session_id=_SESSION_ID, face=WHICH_FACE)
    | {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"correct": {"type": "boolean"}, "session_id": _SESSION_ID},
                "required": ["correct", "session_id"],
            }
        }
    }
)


@dataclass(frozen=True, slots=True)
class Upload:
    index: int
    filename: str
    data: bytes


async def parse_large_form(request: HttpRequest) -> None:
    """Parse a form on a thread that takes tenths of a second: Django would on first use, on the event loop."""
    if _is_large(request):
        await asyncio.to_thread(getattr, request, "POST")


async def images(request: HttpRequest, field: str) -> list[Upload]:
    """The files of a repeated multipart field, in order. Raises ApiError when there is none.

    Large ones are read on a thread: they may be on the disk.
    """
    return await asyncio.to_thread(_files, request, field) if _is_large(request) else _files(request, field)


async def one_image(request: HttpRequest, field: str = "image") -> bytes:
    """The request's picture: the body itself when it is image/*, else the multipart field."""
    if (request.content_type or "").startswith("image/"):
        return request.body
    return (await images(request, field))[0].data


def _is_large(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not length.isdigit() or int(length) > SMALL_BYTES


def _files(request: HttpRequest, field: str) -> list[Upload]:
    files = request.FILES.getlist(field)
    if not files:
        raise ApiError(ErrorCode.VALIDATION_ERROR, f"{field}: send at least one file in this multipart field")
    return [Upload(index, file.name or "", file.read()) for index, file in enumerate(files)]


def consent_in_form(field: str | None) -> GivenConsent | None:
    """The form field `consent`. Raises ApiError."""
    if field is None:
        return None
    try:
        return NewConsent.model_validate_json(field).given("rest")
    except ValidationError as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "consent: send JSON with text and version") from error
