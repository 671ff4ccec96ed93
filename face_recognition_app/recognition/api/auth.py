"""Who is asking: API keys, access tokens, and a session's own token."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import HttpRequest
from ninja import Router, Schema
from ninja.security import HttpBearer

from recognition import runtime as runtimes
from recognition.http_errors import ApiError
from recognition.models import Session
from recognition.signing import InvalidToken
from tenants.keys import KEY_PREFIX, tenant_of_key, token_hash
from tenants.models import Tenant

router = Router(tags=["auth"])


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant's backend, or with `session_id` a client that may touch this one session only."""

    tenant: Tenant
    session_id: uuid.UUID | None = None


class BackendAuth(HttpBearer):
    async def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        tenant = await runtimes.current().database.run(_tenant_of, token)
        return Caller(tenant) if tenant else None


class SessionAuth(HttpBearer):
    """A backend, or the client that holds the session's token."""

    async def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        return await runtimes.current().database.run(_caller_of, token)


class AccessToken(Schema):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme, not a secret
    expires_in: int


backend = BackendAuth()
backend_or_session = SessionAuth()


@router.post("token/", response=AccessToken, auth=backend, summary="Exchange an API key for an access token")
async def create_token(request: HttpRequest) -> AccessToken:
    if not request.headers["Authorization"].partition(" ")[2].startswith(KEY_PREFIX):
        raise ApiError(401, "unauthorized", "an access token is made from an API key, not from another token")
    runtime = runtimes.current()
    lifetime_s = runtime.settings.access_token_ttl_s
    token = runtime.signer.sign_access(caller(request).tenant.pk, lifetime_s)
    return AccessToken(access_token=token, expires_in=lifetime_s)


def caller(request: HttpRequest) -> Caller:
    found: Caller = request.auth  # type: ignore[attr-defined]
    return found


def _tenant_of(token: str) -> Tenant | None:
    if token.startswith(KEY_PREFIX):
        return tenant_of_key(token)
    try:
        return Tenant.objects.filter(pk=runtimes.current().signer.tenant_of_access(token)).first()
    except InvalidToken:
        return None


def _caller_of(token: str) -> Caller | None:
    tenant = _tenant_of(token)
    if tenant is not None:
        return Caller(tenant)
    session = Session.objects.select_related("tenant").filter(token_hash=token_hash(token)).first()
    return Caller(session.tenant, session.pk) if session else None


async def is_somebody(token: str) -> bool:
    """Whether the token is a key, an access token or a session's, for who must know before the body is read."""
    return await runtimes.current().database.run(_caller_of, token) is not None


async def may_read(token: str) -> bool:
    """Whether the token is a tenant's, who may see the service's state."""
    return await runtimes.current().database.run(_tenant_of, token) is not None
