"""The demo tenant, and sessions that the first page begins for it without a key."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError

from ops.secret import read_or_make
from ops.settings import Settings
from recognition import runtime as runtimes
from recognition.api.schemas import NewSession
from recognition.api.sessions import begin
from recognition.http_errors import ApiError, as_api_error, envelope
from tenants.keys import create_tenant, issue_key
from tenants.models import Tenant

DEMO_TENANT = "demo"


def ensure_demo_tenant(settings: Settings) -> None:
    """The tenant, and its key in the data directory; a lost key file gets a new key."""
    path = settings.data_dir / "demo-api-key"
    tenant = Tenant.objects.filter(name=DEMO_TENANT).first()
    if tenant is None:
        path.unlink(missing_ok=True)
        _, key = create_tenant(DEMO_TENANT)
        read_or_make(path, key.encode)
    elif not path.exists():
        read_or_make(path, issue_key(tenant).encode)


@csrf_exempt
async def create_demo_session(request: HttpRequest) -> HttpResponse:
    """What POST /api/v1/sessions/ does, for the demo tenant."""
    runtime = runtimes.current()
    try:
        if not runtime.settings.demo_enabled:
            raise ApiError(404, "not_found", "there is no demo here")
        if request.method != "POST":
            raise ApiError(405, "method_not_allowed", "POST only")
        new = _parse(request.body)
        tenant = await runtime.database.run(Tenant.objects.get, name=DEMO_TENANT)
        created = await begin(request, tenant, new)
    except Exception as error:
        return envelope(as_api_error(error))
    return JsonResponse(json.loads(created.model_dump_json()), status=201)


def _parse(body: bytes) -> NewSession:
    try:
        return NewSession.model_validate_json(body)
    except ValidationError as error:
        raise ApiError(422, "validation_error", error.errors(include_url=False)[0]["msg"]) from error
