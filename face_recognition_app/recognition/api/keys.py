"""Endpoints that list, issue, rotate and revoke a tenant's API keys.

They need the scope admin, which includes every other: no caller can issue a scope that it lacks.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import AwareDatetime, Field, model_validator

from config.durations import LONGEST
from database import clock
from database.pages import page_after
from recognition.api.auth import caller, needs
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.api.schemas import Request
from recognition.worker import of_request
from tenants import keys
from tenants.models import ApiKey, Tenant
from tenants.scopes import Scope, in_order, read_scopes
from vocabulary.errors import ErrorCode

router = Router(tags=["keys"], auth=needs(Scope.ADMIN))
DAY_S = 86_400
LONGEST_S = int(LONGEST.total_seconds())


class NewKey(Request):
    name: str = Field("", max_length=keys.MAX_NAME_CHARACTERS, description="To tell keys apart.")
    scopes: list[Scope] = Field(min_length=1, description="`admin` manages keys, and stands for every other scope.")
    expires_at: AwareDatetime | None = Field(None, description="Null: never, unless `expires_in_s` says when.")
    expires_in_s: int | None = Field(None, ge=1, le=LONGEST_S)

    @model_validator(mode="after")
    def _one_end(self) -> NewKey:
        if self.expires_at is not None and self.expires_in_s is not None:
            raise ValueError("give expires_at or expires_in_s, not both")
        return self

    def end(self, now: datetime) -> datetime | None:
        return self.expires_at if self.expires_in_s is None else now + timedelta(seconds=self.expires_in_s)


class Rotation(Request):
    overlap_s: int = Field(DAY_S, ge=0, le=LONGEST_S, description="How long the old key lives on, at most.")


class KeyDetail(Schema):
    """`prefix` is the beginning of the key, to tell which one it is; `last_used_at` is right to about a minute."""

    id: uuid.UUID
    name: str
    scopes: list[Scope]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewKeyDetail(KeyDetail):
    api_key: str = Field(description="Shown this once.")


class KeyPage(Schema):
    items: list[KeyDetail]
    next_cursor: str | None


@router.get("", response=KeyPage, summary="List those that are not revoked")
async def list_keys(request: HttpRequest, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT) -> KeyPage:
    return await of_request(request).database.run(
        _list, caller(request).tenant, key_in(caller(request).tenant, cursor), limit
    )


@router.post("", response={201: NewKeyDetail}, summary="Issue a key")
async def create_key(request: HttpRequest, new: NewKey) -> Status[NewKeyDetail]:
    tenant = caller(request).tenant
    return Status(201, _issued(await of_request(request).database.run(_issue, tenant, new)))


@router.post("{uuid:key_id}/rotate/", response={201: NewKeyDetail}, summary="Replace a key, with an overlap")
@raises(ErrorCode.KEY_NOT_FOUND, ErrorCode.KEY_REPLACED)
async def rotate_key(request: HttpRequest, key_id: uuid.UUID, rotation: Rotation | None = None) -> Status[NewKeyDetail]:
    overlap = timedelta(seconds=DAY_S if rotation is None else rotation.overlap_s)
    issued = await of_request(request).database.run(keys.rotate_key, caller(request).tenant, key_id, overlap)
    return Status(201, _issued(issued))


@router.delete("{uuid:key_id}/", response={204: None}, summary="Revoke a key and its access tokens, at once")
@raises(ErrorCode.KEY_NOT_FOUND, ErrorCode.LAST_ADMIN_KEY)
async def delete_key(request: HttpRequest, key_id: uuid.UUID) -> Status[None]:
    await of_request(request).database.run(keys.revoke_unless_last_admin, caller(request).tenant, key_id)
    return Status(204, None)


def _issue(tenant: Tenant, new: NewKey) -> keys.IssuedKey:
    return keys.issue_key(tenant, new.name, new.scopes, new.end(clock.now()))


def _list(tenant: Tenant, after: int, limit: int) -> KeyPage:
    found = page_after(keys.keys_of(tenant), after, limit)
    return KeyPage(items=[_detail(key) for key in found.rows], next_cursor=cursor_for(tenant, found.last_key))


def _issued(issued: keys.IssuedKey) -> NewKeyDetail:
    return NewKeyDetail(**_detail(issued.row).model_dump(), api_key=issued.text)


def _detail(key: ApiKey) -> KeyDetail:
    return KeyDetail(
        id=key.public_id,
        name=key.name,
        scopes=in_order(read_scopes(key.scopes)),
        prefix=key.prefix,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )
