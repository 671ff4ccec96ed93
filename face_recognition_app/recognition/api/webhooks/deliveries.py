"""What was delivered to a webhook, what came of each try, and sending something again."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from database.pages import page_before
from recognition.api.auth import caller, needs
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.worker import of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.errors import ErrorCode
from vocabulary.webhooks import DeliveryStatus, EventType
from webhooks import deliveries, endpoints
from webhooks.attempts import Attempt
from webhooks.models import Delivery

router = Router(tags=["webhooks"], auth=needs(Scope.ADMIN))


class AttemptDetail(Schema):
    """`status_code`: null without an answer. `answer`: the first 500 bytes of its body. `error`: null for a success."""

    at: datetime
    status_code: int | None
    milliseconds: int
    answer: str
    error: str | None


class DeliveryDetail(Schema):
    """`id` is sent as `webhook-id`. `attempts`: the last tries, oldest first."""

    id: uuid.UUID
    webhook_id: uuid.UUID
    type: EventType
    status: DeliveryStatus
    created_at: datetime
    finished_at: datetime | None
    attempts: list[AttemptDetail] = Field(description="At most 20.")


class DeliveryPage(Schema):
    items: list[DeliveryDetail]
    next_cursor: str | None


@router.get("{uuid:webhook_id}/deliveries/", response=DeliveryPage, summary="List deliveries, newest first")
@raises(ErrorCode.WEBHOOK_NOT_FOUND)
async def list_deliveries(
    request: HttpRequest, webhook_id: uuid.UUID, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT
) -> DeliveryPage:
    tenant = caller(request).tenant
    return await of_request(request).database.run(_list, tenant, webhook_id, key_in(tenant, cursor), limit)


@router.post("{uuid:webhook_id}/test/", response={202: DeliveryDetail}, summary="Send a test event")
@raises(ErrorCode.WEBHOOK_NOT_FOUND, ErrorCode.WEBHOOK_DISABLED)
async def test_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> Status[DeliveryDetail]:
    row = await of_request(request).database.run(deliveries.send_test, caller(request).tenant, webhook_id)
    return Status(202, _detail(row, webhook_id))


@router.post(
    "{uuid:webhook_id}/deliveries/{uuid:delivery_id}/replay/",
    response={202: DeliveryDetail},
    summary="Send a delivery of a webhook again",
)
@raises(ErrorCode.WEBHOOK_NOT_FOUND, ErrorCode.DELIVERY_NOT_FOUND, ErrorCode.WEBHOOK_DISABLED, ErrorCode.NOT_REPLAYABLE)
async def replay_delivery(
    request: HttpRequest, webhook_id: uuid.UUID, delivery_id: uuid.UUID
) -> Status[DeliveryDetail]:
    tenant = caller(request).tenant
    row = await of_request(request).database.run(deliveries.replay, tenant, delivery_id, webhook_id)
    return Status(202, _detail(row, webhook_id))


@router.post("deliveries/{uuid:delivery_id}/replay/", response={202: DeliveryDetail}, summary="Send a delivery again")
@raises(ErrorCode.DELIVERY_NOT_FOUND, ErrorCode.WEBHOOK_DISABLED, ErrorCode.NOT_REPLAYABLE)
async def repeat_delivery(request: HttpRequest, delivery_id: uuid.UUID) -> Status[DeliveryDetail]:
    row = await of_request(request).database.run(deliveries.replay, caller(request).tenant, delivery_id)
    return Status(202, _detail(row, row.endpoint.public_id))


def _list(tenant: Tenant, webhook_id: uuid.UUID, before: int, limit: int) -> DeliveryPage:
    endpoint = endpoints.find(tenant, webhook_id)
    found = page_before(deliveries.deliveries_of(endpoint), before, limit)
    items = [_detail(row, webhook_id) for row in found.rows]
    return DeliveryPage(items=items, next_cursor=cursor_for(tenant, found.last_key))


def _detail(row: Delivery, webhook_id: uuid.UUID) -> DeliveryDetail:
    return DeliveryDetail(
        id=row.public_id,
        webhook_id=webhook_id,
        type=EventType(row.type),
        status=DeliveryStatus(row.status),
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempts=[_attempt(Attempt.from_json(kept)) for kept in row.attempts],
    )


def _attempt(attempt: Attempt) -> AttemptDetail:
    return AttemptDetail(
        at=attempt.at,
        status_code=attempt.status_code,
        milliseconds=attempt.milliseconds,
        answer=attempt.answer,
        error=attempt.error or None,
    )
