"""Authentication and scopes of callers: API keys, access tokens, and a session's own token."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from asgiref.typing import HTTPScope
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.security import HttpBearer
from pydantic import ConfigDict, Field

from audit import actor as actors
from audit.chain import Detail, Event
from audit.reads import reads
from database import clock
from logs import context
from recognition.api.errors import ApiError
from recognition.api.uploads import parse_large_form
from recognition.sessions.lifecycle import find_by_token
from recognition.tokens.signing import AccessClaims, InvalidToken, Signer
from recognition.worker import in_scope, of_request
from tenants.keys import KEY_PREFIX, find_living_key, find_living_key_by_id
from tenants.models import ApiKey, Tenant
from tenants.scopes import Scope, in_order, opened_by
from tenants.usage import key_uses
from vocabulary.audit import ActorKind, AuditKind
from vocabulary.errors import ErrorCode
from web.refusal import HttpRefusal

router = Router(tags=["auth"])

API_KEY = "ApiKey"
SESSION_TOKEN = "SessionToken"  # noqa: S105 - a name, not a secret
"""Names of the two security schemes in the API's document."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: a tenant's backend with a key, or a client limited to the session `session_id`."""

    tenant: Tenant
    key: ApiKey | None = None
    scopes: frozenset[Scope] = frozenset()
    session_id: uuid.UUID | None = None

    @property
    def reads_subjects(self) -> bool:
        return bool(self.scopes & {Scope.SUBJECTS, Scope.READ})


class BackendAuth(HttpBearer):
    """Opens a route to API keys and access tokens that have one of the scopes."""

    def __init__(self, scopes: frozenset[Scope]) -> None:
        super().__init__()
        self.scopes = scopes

    @property
    def requirements(self) -> list[dict[str, list[str]]]:
        """OpenAPI security requirements, each of which is enough."""
        if self.scopes == frozenset(Scope):
            return [{API_KEY: []}]
        return [{API_KEY: [str(scope)]} for scope in in_order(self.scopes)]

    @property
    def described(self) -> str:
        if self.scopes == frozenset(Scope):
            return "Any scope is enough."
        return f"Needs the scope {' or '.join(f'`{scope}`' for scope in in_order(self.scopes))}."

    async def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        worker = of_request(request)
        found = await worker.database.run(self._find, worker.deciding.signer, token)
        if found is not None and found.session_id is None and not found.scopes & self.scopes:
            needed = in_order(self.scopes)
            raise ApiError(ErrorCode.SCOPE_MISSING, f"this needs the scope {' or '.join(needed)}", {"needs": needed})
        if found is not None:
            actors.current.set(_actor_of(found, token))
            _name_in_logs(request, found)
            await parse_large_form(request)  # Ninja calls nothing else before it reads the form.
        return found

    def _find(self, signer: Signer, token: str) -> Caller | None:
        return _backend_of(signer, token)


class SessionAuth(BackendAuth):
    """Opens a route as BackendAuth does, and also to the client that holds the session's token."""

    @property
    def requirements(self) -> list[dict[str, list[str]]]:
        return [*super().requirements, {SESSION_TOKEN: []}]

    @property
    def described(self) -> str:
        return f"{super().described} The session's own token is enough, too."

    def _find(self, signer: Signer, token: str) -> Caller | None:
        return _backend_of(signer, token) or _session_client_of(token)


def needs(*scopes: Scope) -> BackendAuth:
    """For a route's `auth=`: any one of the scopes is enough."""
    return BackendAuth(frozenset(scopes))


def needs_or_session(*scopes: Scope) -> SessionAuth:
    return SessionAuth(frozenset(scopes))


def allows(signer: Signer, token: str, scope: Scope) -> bool:
    """Whether an API key or access token has the scope. Asks the database."""
    backend = _backend_of(signer, token)
    return backend is not None and scope in backend.scopes


class TokenRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    scopes: list[Scope] | None = Field(None, min_length=1, description="Fewer than the key has; null: all of them.")


class AccessToken(Schema):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme, not a secret
    expires_in: int


@router.post("token/", response=AccessToken, auth=needs(*Scope), summary="Exchange an API key for an access token")
async def create_token(request: HttpRequest, asked: TokenRequest | None = None) -> AccessToken:
    if not request.headers["Authorization"].partition(" ")[2].startswith(KEY_PREFIX):
        raise ApiError(ErrorCode.UNAUTHORIZED, "an access token is made from an API key, not from another token")
    key = caller(request).key
    assert key is not None
    scopes = key.opens if asked is None or asked.scopes is None else frozenset(asked.scopes)
    lacking = in_order(scopes - key.opens)
    if lacking:
        raise ApiError(ErrorCode.SCOPE_MISSING, f"the key lacks the scope {lacking[0]}", {"needs": lacking})
    worker = of_request(request)
    return await worker.database.run(
        _access_token, worker.deciding.signer, key, scopes, worker.settings.access_token_ttl_s
    )


def caller(request: HttpRequest) -> Caller:
    found: Caller = request.auth  # type: ignore[attr-defined]
    return found


def _backend_of(signer: Signer, token: str) -> Caller | None:
    """The backend that a key or access token names; None for any other token.

    An access token has the scopes it was made with, as far as its key still has them.
    """
    if token.startswith(KEY_PREFIX):
        key, scopes = find_living_key(token), frozenset(Scope)
    else:
        try:
            claims = signer.read_access(token)
        except InvalidToken:
            return None
        key, scopes = find_living_key_by_id(claims.tenant, claims.key), opened_by(claims.scopes)
    if key is None:
        return None
    key_uses.note(key)
    return Caller(key.tenant, key, key.opens & scopes)


def _session_client_of(token: str) -> Caller | None:
    session = find_by_token(token)
    return Caller(session.tenant, session_id=session.pk) if session else None


def _actor_of(found: Caller, token: str) -> actors.Actor:
    if found.key is None:
        return actors.client_of(found.session_id)
    kind = ActorKind.KEY if token.startswith(KEY_PREFIX) else ActorKind.TOKEN
    return actors.Actor(kind, str(found.key.public_id), f"{found.key.prefix} {found.key.name}".strip())


async def is_somebody(scope: HTTPScope, token: str) -> bool:
    """Whether the token is a valid key, access token or session token; checked before the body is read."""
    worker = in_scope(scope)
    return await worker.database.run(_somebody_of, worker.deciding.signer, token) is not None


def _name_in_logs(request: HttpRequest, found: Caller) -> None:
    """Have log lines of the request name the tenant, and the session that its path names."""
    context.tenant.set(found.tenant.pk)
    match = request.resolver_match
    named = match.kwargs.get("session_id") if match is not None else None
    if named is not None:
        context.session.set(str(named))


def _somebody_of(signer: Signer, token: str) -> Caller | None:
    return _backend_of(signer, token) or _session_client_of(token)


async def may_read(scope: HTTPScope, token: str) -> bool:
    """Whether a backend with the scope `read` sent the token. Raises HttpRefusal when only the scope is missing."""
    worker = in_scope(scope)
    backend = await worker.database.run(_backend_of, worker.deciding.signer, token)
    if backend is not None and Scope.READ not in backend.scopes:
        raise HttpRefusal(ErrorCode.SCOPE_MISSING, "this needs a key with the scope read")
    return backend is not None


def _access_token(signer: Signer, key: ApiKey, scopes: frozenset[Scope], longest_s: int) -> AccessToken:
    lifetime_s = _lifetime_s(key, longest_s)
    token = signer.sign_access(AccessClaims(key.tenant.pk, key.public_id, scopes), lifetime_s)
    details: dict[str, Detail] = {"scopes": [str(scope) for scope in in_order(scopes)], "expires_in_s": lifetime_s}
    reads.record(key.tenant.pk, Event(AuditKind.TOKEN_ISSUED, None, details))
    return AccessToken(access_token=token, expires_in=lifetime_s)


def _lifetime_s(key: ApiKey, longest_s: int) -> int:
    """`longest_s`, shortened to what remains of the key's own lifetime."""
    if key.expires_at is None:
        return longest_s
    return max(0, min(longest_s, int((key.expires_at - clock.now()).total_seconds())))
