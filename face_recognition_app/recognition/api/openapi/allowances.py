"""What each route takes, read from the API's own document."""

from __future__ import annotations

import re
from typing import Any

from django.urls import Resolver404, resolve

from web.body_limit import SMALL_BYTES, Allowance

READING = ("GET", "HEAD")
SPARE_IMAGES = 2
"""So many more than a route takes are read, to say which of them is too large or too many."""
MAX_IMAGES = "x-max-images"
"""In a request body's description: how many pictures of the largest size it may have."""

_CONVERTED = re.compile(r"<(?:\w+:)?(\w+)>")


class Allowances:
    """By method and path. `document` is the OpenAPI document; any other route of Django takes little, and JSON only."""

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
    # The document also names the encoding of a form without files, in which no picture can come.
    pictures = tuple(kind for kind in media if kind.startswith(("multipart/", "image/")))
    return Allowance((body[MAX_IMAGES] + SPARE_IMAGES) * max_image_bytes, pictures, needs_credentials)
