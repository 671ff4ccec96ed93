"""Body size and media types that each route accepts, read from the OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from django.urls import Resolver404, resolve

from web.access.body_limit import SMALL_BYTES, Allowance

READING = ("GET", "HEAD")
SPARE_IMAGES = 2
"""Images read beyond a route's maximum, so that the answer can say which one is too large or too many."""
MAX_IMAGES = "x-max-images"
"""Extension of a request body: the number of pictures of the largest size that it may hold."""

_CONVERTED = re.compile(r"<(?:\w+:)?(\w+)>")


class Allowances:
    """The allowance of a method and path, by the OpenAPI `document`; other routes take small JSON bodies only."""

    def __init__(self, document: dict[str, Any], max_image_bytes: int) -> None:
        self._by_route = {
            (method.upper(), path.lstrip("/")): _allowance(operation, max_image_bytes)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        self._known = {path for _, path in self._by_route}

    def __call__(self, method: str, path: str) -> Allowance | None:
        try:
            found = resolve(path)
        except Resolver404:
            return None
        if method in READING:
            return Allowance(0)
        route = _CONVERTED.sub(r"{\1}", found.route)
        if route in self._known:
            return self._by_route.get((method, route), Allowance())
        return Allowance(media=("application/json",))


def _allowance(operation: dict[str, Any], max_image_bytes: int) -> Allowance:
    body = operation.get("requestBody", {})
    media, needs_credentials = tuple(body.get("content", ())), "security" in operation
    if MAX_IMAGES not in body:
        return Allowance(SMALL_BYTES, media, needs_credentials)
    # The document also lists the urlencoded form, which cannot carry a picture.
    pictures = tuple(kind for kind in media if kind.startswith(("multipart/", "image/", "application/json")))
    return Allowance((body[MAX_IMAGES] + SPARE_IMAGES) * max_image_bytes, pictures, needs_credentials)
