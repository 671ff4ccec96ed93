"""Creates sessions of the demo tenant for the first page, without an API key."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError

from audit import actor as actors
from demo.names import subject_id_of
from gallery.names import display_name_of
from recognition.api.errors import ApiError, as_service_error, error_response
from recognition.api.schemas import NewSession
from recognition.api.sessions import begin
from recognition.worker import of_request
from tenants.demo import demo_tenant
from vocabulary.errors import ErrorCode
from vocabulary.sessions import SessionKind


@csrf_exempt
async def create_demo_session(request: HttpRequest) -> HttpResponse:
    """Create a session as POST /api/v1/sessions/ does, for the demo tenant."""
    worker = of_request(request)
    actors.current.set(actors.VISITOR)
    try:
        if not worker.settings.demo_enabled:
            raise ApiError(ErrorCode.NOT_FOUND, "there is no demo here")
        if request.method != "POST":
            raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, "POST only")
        if request.content_type != "application/json":  # A form of another site cannot send this type.
            raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        new = _parse(request.body)
        tenant = await worker.database.run(demo_tenant)
        created = await begin(request, tenant, new, by="page")
    except Exception as error:
        return error_response(as_service_error(error))
    return JsonResponse(json.loads(created.model_dump_json()), status=201)


def _parse(body: bytes) -> NewSession:
    """The session asked for: NewSession, or with `name`, what the person typed, in place of `subject_id`."""
    try:
        content = json.loads(body)
        if isinstance(content, dict) and "name" in content:
            content |= _identified(content.pop("name"), content.get("kind"))
        new = NewSession.model_validate(content)
        if new.replace:
            raise ValueError("replace needs a key")  # Else any visitor could take another's place.
        return new
    except ValidationError as error:
        message = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise ApiError(ErrorCode.VALIDATION_ERROR, message) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, f"the body is not valid: {error}") from error


def _identified(name: object, kind: object) -> dict[str, str]:
    """The fields that name the person: none of an identification. Raises ValueError for what is no name."""
    if kind == SessionKind.IDENTIFICATION:
        return {}
    if not isinstance(name, str):
        raise ValueError("a name is text")
    display_name = {"display_name": display_name_of(name)} if kind == SessionKind.ENROLLMENT else {}
    return {"subject_id": subject_id_of(name), **display_name}
