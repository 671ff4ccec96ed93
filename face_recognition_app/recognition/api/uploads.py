"""Pictures out of requests."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from recognition.http_errors import ApiError


@dataclass(frozen=True, slots=True)
class Upload:
    index: int
    filename: str
    data: bytes


def images(request: HttpRequest, field: str) -> list[Upload]:
    """The files of a repeated multipart field, in order. Raises ApiError when there is none."""
    files = request.FILES.getlist(field)
    if not files:
        raise ApiError(422, "validation_error", f"{field}: send at least one file in this multipart field")
    return [Upload(index, file.name or "", file.read()) for index, file in enumerate(files)]


def one_image(request: HttpRequest, field: str = "image") -> bytes:
    """The request's picture: the body itself when it is image/*, else the multipart field."""
    if (request.content_type or "").startswith("image/"):
        return request.body
    return images(request, field)[0].data
