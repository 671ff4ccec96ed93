"""Every HTTP path that Django answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.gzip import gzip_page

from config.public_url import PublicUrl
from config.service import service_settings
from demo.forgetting import forget_face
from demo.sessions import create_demo_session
from recognition.api import make_api
from recognition.worker import of_request
from wire.asyncapi import SocketServer, document


def jwks(request: HttpRequest) -> JsonResponse:
    return JsonResponse(of_request(request).deciding.signer.jwks(), headers={"Cache-Control": "public, max-age=300"})


@gzip_page
def asyncapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(_sockets_document(service_settings().public_url))


@cache
def _sockets_document(url: PublicUrl | None) -> dict[str, Any]:
    return document(None if url is None else SocketServer(url.address, url.socket_scheme, url.prefix))


urlpatterns = [
    path("api/asyncapi.json", asyncapi),
    path("api/", make_api(service_settings().public_url).urls),
    path(".well-known/jwks.json", jwks),
    path("demo/sessions/", create_demo_session),
    path("demo/face/", forget_face),
    path("", include("demo.urls")),
]
