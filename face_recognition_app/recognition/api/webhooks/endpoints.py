"""List, create, read, change and delete webhooks, and give one a new secret."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Annotated

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from config.settings import Settings
from database.pages import page_after
from recognition.api.auth import caller, needs
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.api.schemas import Request
from recognition.worker import of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.errors import ErrorCode
from vocabulary.webhooks import Disabled, EventType
from webhooks import endpoints
from webhooks.endpoints import Changes, NewEndpoint
from webhooks.models import MAX_DESCRIPTION_CHARACTERS, MAX_URL_CHARACTERS, Endpoint
from webhooks.sending import addresses
from webhooks.sending.addresses import Rules

router = Router(tags=["webhooks"], auth=needs(Scope.ADMIN))
DAY_S = 86_400
LONGEST_OVERLAP_S = 30 * DAY_S

Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARACTERS)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewWebhook(Request):
    url: Url = Field(description="https, with a host whose addresses are public.")
    events: list[EventType] = Field(default_factory=list, description="Those that are sent; empty: all.")
    description: Description = ""
    enabled: bool = True


class WebhookChanges(Request):
    """What is left out stays as it is."""

    url: Url | None = None
    events: list[EventType] | None = None
    description: Description | None = None
    enabled: bool | None = None


class SecretRotation(Request):
    overlap_s: int = Field(
        DAY_S, ge=0, le=LONGEST_OVERLAP_S, description="How long each delivery is signed by the old secret, too."
    )


class WebhookDetail(Schema):
    """`failing_since`: time of the first try that failed since the last success."""

    id: uuid.UUID
    url: str
    events: list[EventType]
    description: str
    enabled: bool
    disabled_because: Disabled | None
    failing_since: datetime | None
    created_at: datetime


class NewWebhookDetail(WebhookDetail):
    secret: str = Field(description="Shown this once.")


class WebhookPage(Schema):
    items: list[WebhookDetail]
    next_cursor: str | None


@router.get("", response=WebhookPage, summary="List webhooks")
async def list_webhooks(request: HttpRequest, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT) -> WebhookPage:
    tenant = caller(request).tenant
    return await of_request(request).database.run(_list, tenant, key_in(tenant, cursor), limit)


@router.post("", response={201: NewWebhookDetail}, summary="Create a webhook")
@raises(ErrorCode.WEBHOOK_URL_REFUSED, ErrorCode.TOO_MANY_WEBHOOKS)
async def create_webhook(request: HttpRequest, new: NewWebhook) -> Status[NewWebhookDetail]:
    worker = of_request(request)
    await _check_url(worker.settings, new.url)
    asked = NewEndpoint(new.url, new.events, new.description, new.enabled)
    made = await worker.database.run(endpoints.create, caller(request).tenant, asked)
    return Status(201, _with_secret(made))


@router.get("{uuid:webhook_id}/", response=WebhookDetail, summary="Read a webhook")
@raises(ErrorCode.WEBHOOK_NOT_FOUND)
async def read_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> WebhookDetail:
    return _detail(await of_request(request).database.run(endpoints.find, caller(request).tenant, webhook_id))


@router.patch("{uuid:webhook_id}/", response=WebhookDetail, summary="Change, enable or disable a webhook")
@raises(ErrorCode.WEBHOOK_NOT_FOUND, ErrorCode.WEBHOOK_URL_REFUSED)
async def update_webhook(request: HttpRequest, webhook_id: uuid.UUID, changes: WebhookChanges) -> WebhookDetail:
    worker, tenant = of_request(request), caller(request).tenant
    await worker.database.run(endpoints.find, tenant, webhook_id)
    if changes.url is not None:
        await _check_url(worker.settings, changes.url)
    asked = Changes(changes.url, changes.events, changes.description, changes.enabled)
    return _detail(await worker.database.run(endpoints.change, tenant, webhook_id, asked))


@router.delete("{uuid:webhook_id}/", response={204: None}, summary="Delete a webhook and its deliveries")
@raises(ErrorCode.WEBHOOK_NOT_FOUND)
async def delete_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> Status[None]:
    await of_request(request).database.run(endpoints.delete, caller(request).tenant, webhook_id)
    return Status(204, None)


@router.post("{uuid:webhook_id}/rotate/", response=NewWebhookDetail, summary="Replace the secret, with an overlap")
@raises(ErrorCode.WEBHOOK_NOT_FOUND)
async def rotate_webhook(
    request: HttpRequest, webhook_id: uuid.UUID, rotation: SecretRotation | None = None
) -> NewWebhookDetail:
    overlap = timedelta(seconds=DAY_S if rotation is None else rotation.overlap_s)
    tenant = caller(request).tenant
    return _with_secret(await of_request(request).database.run(endpoints.rotate_secret, tenant, webhook_id, overlap))


async def _check_url(settings: Settings, url: str) -> None:
    """Raises UrlRefused. Resolving a name takes up to seconds, so it is done on no thread of the database."""
    rules = Rules.of(settings)
    target = addresses.parse(url, rules)
    await asyncio.to_thread(addresses.resolve, target, rules)


def _list(tenant: Tenant, after: int, limit: int) -> WebhookPage:
    found = page_after(endpoints.endpoints_of(tenant), after, limit)
    return WebhookPage(items=[_detail(row) for row in found.rows], next_cursor=cursor_for(tenant, found.last_key))


def _with_secret(made: endpoints.WithSecret) -> NewWebhookDetail:
    return NewWebhookDetail(**_detail(made.row).model_dump(), secret=made.secret)


def _detail(row: Endpoint) -> WebhookDetail:
    return WebhookDetail(
        id=row.public_id,
        url=row.url,
        events=[EventType(name) for name in row.events],
        description=row.description,
        enabled=row.enabled,
        disabled_because=Disabled(row.disabled_because) if row.disabled_because else None,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )
