"""Erases the subject whom a decision token has just recognised."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from audit import actor as actors
from gallery.people import SubjectNotFound
from recognition.api.errors import ApiError, as_service_error, error_response
from recognition.deciding import Deciding
from recognition.retention.erasure import erase_subject
from recognition.sessions.lease import SessionNotFound, decision_on
from recognition.sessions.lifecycle import find
from recognition.tokens.receipts import RECEIPT_HEADER
from recognition.tokens.signing import DecisionClaims, InvalidToken, Signer
from recognition.worker import of_request
from tenants.demo import DEMO_TENANT, demo_tenant
from vocabulary.errors import ErrorCode

MAX_AGE_S = 300
"""Greatest age, in seconds, of a decision token that proves whose face it is."""


@csrf_exempt  # A form of another site cannot send the header.
async def forget_face(request: HttpRequest) -> HttpResponse:
    """Erase the subject of a successful session of the demo tenant; the decision token is the proof."""
    worker = of_request(request)
    actors.current.set(actors.VISITOR)
    try:
        if not worker.settings.demo_enabled:
            raise ApiError(ErrorCode.NOT_FOUND, "there is no demo here")
        if request.method != "DELETE":
            raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, "DELETE only")
        claims = _claims(worker.deciding.signer, request.headers.get("Authorization", ""))
        receipt = await worker.database.run(_forget, worker.deciding, claims)
    except Exception as error:
        return error_response(as_service_error(error))
    return HttpResponse(status=204, headers={RECEIPT_HEADER: receipt})


def _claims(signer: Signer, authorization: str) -> DecisionClaims:
    """The claims of a success of the demo tenant. Raises ApiError."""
    scheme, _, token = authorization.partition(" ")
    try:
        claims = signer.read_decision(token, MAX_AGE_S) if scheme.lower() == "bearer" else None
    except InvalidToken:
        claims = None
    if claims is None or claims.tenant != DEMO_TENANT or claims.outcome != "success" or not claims.subject:
        raise ApiError(ErrorCode.UNAUTHORIZED, "send the decision_token of a success that is not older than 5 minutes")
    return claims


def _forget(deciding: Deciding, claims: DecisionClaims) -> str:
    """Erase the subject; returns the receipt.

    Raises SubjectNotFound, also when the person was erased since: the same name may be somebody else's by now.
    """
    tenant, subject_id = demo_tenant(), claims.subject or ""
    gone = SubjectNotFound(f"there is no subject {subject_id!r}")
    try:
        decision = decision_on(find(tenant, UUID(claims.session)))
    except SessionNotFound as error:  # Erased with its subject.
        raise gone from error
    if decision is None or decision.subject_id != subject_id:
        raise gone
    return erase_subject(deciding, tenant, subject_id)
