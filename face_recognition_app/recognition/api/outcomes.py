"""Endpoints that read the numbers of each day, which never change once they are made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel

from database import clock
from recognition.api.auth import caller, needs
from recognition.api.errors import ApiError
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.outcomes import cache
from recognition.outcomes.models import OutcomeSummary
from recognition.worker import of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.errors import ErrorCode
from vocabulary.sessions import Reason, SessionKind, SessionStatus

router = Router(tags=["outcomes"], auth=needs(Scope.SESSIONS, Scope.READ))

LIST_S, DAY_S = 300, 600
"""How long a list and a single day are kept in the cache."""
DAY = timedelta(days=1)


class SessionCount(BaseModel):
    """Sessions that ended alike. `reason`: null where the decision has none."""

    kind: SessionKind
    status: SessionStatus
    reason: Reason | None
    number: int


class OutcomesOfDay(BaseModel):
    """`attempts`: sessions that claimed or looked for somebody, and were connected. `median_ms` and `p95_ms`: from the
    first connection to the decision; null when nothing was decided."""

    day: date
    sessions: list[SessionCount]
    attempts: int
    enrolments: int
    locks: int
    median_ms: int | None
    p95_ms: int | None


class OutcomesPage(BaseModel):
    items: list[OutcomesOfDay]
    next_cursor: str | None


@router.get("", response=OutcomesPage, summary="Numbers of each day (UTC), newest first")
async def list_outcomes(request: HttpRequest, cursor: str | None = None, limit: Limit = DEFAULT_LIMIT) -> HttpResponse:
    tenant = caller(request).tenant
    return _answer(await of_request(request).database.run(_list, tenant, key_in(tenant, cursor), limit))


@router.get("{day}/", response=OutcomesOfDay, summary="Numbers of one day (UTC)")
@raises(ErrorCode.OUTCOMES_NOT_FOUND, ErrorCode.VALIDATION_ERROR)
async def read_outcomes(request: HttpRequest, day: date) -> HttpResponse:
    return _answer(await of_request(request).database.run(_read, caller(request).tenant, day))


def _answer(text: str) -> HttpResponse:
    """The answer as it is. Ninja would make it anew, which takes longer than the database does."""
    return HttpResponse(text, content_type="application/json; charset=utf-8")


def _list(tenant: Tenant, before: int, limit: int) -> str:
    """The page of the days before the one with the ordinal `before`, as JSON. The first page alone is kept: what comes
    after it is read once, by whoever collects everything."""
    if before or not cache.is_enabled():
        return _page(tenant, before, limit).model_dump_json()
    key = f"{_of(tenant)}:newest:{limit}"
    found = cache.find(key, OutcomesPage)
    if found is not None:
        return found
    page, now = _page(tenant, before, limit), clock.now()
    text = page.model_dump_json()
    if _is_complete(page, tenant, now):
        # The list is another one when the day is over.
        cache.keep(key, OutcomesPage, text, min(LIST_S, (_midnight_after(now) - now).total_seconds()))
    return text


def _read(tenant: Tenant, day: date) -> str:
    if not cache.is_enabled():
        return _day(tenant, day).model_dump_json()
    key = f"{_of(tenant)}:{day}"
    found = cache.find(key, OutcomesOfDay)
    if found is None:
        found = _day(tenant, day).model_dump_json()
        cache.keep(key, OutcomesOfDay, found, DAY_S)
    return found


def _page(tenant: Tenant, before: int, limit: int) -> OutcomesPage:
    rows = OutcomeSummary.objects.filter(tenant=tenant)
    if before:
        # A cursor of another list may have any number.
        rows = rows.filter(day__lt=date.fromordinal(min(before, date.max.toordinal())))
    found = list(rows.order_by("-day")[: limit + 1])
    next_key = found[limit - 1].day.toordinal() if len(found) > limit else None
    return OutcomesPage(items=[_detail(row) for row in found[:limit]], next_cursor=cursor_for(tenant, next_key))


def _day(tenant: Tenant, day: date) -> OutcomesOfDay:
    row = OutcomeSummary.objects.filter(tenant=tenant, day=day).first()
    if row is None:
        raise ApiError(ErrorCode.OUTCOMES_NOT_FOUND, f"there are no numbers of {day}")
    return _detail(row)


def _is_complete(page: OutcomesPage, tenant: Tenant, now: datetime) -> bool:
    """Whether no summary that is made later can belong on the page: it has every day from yesterday back, and goes on,
    or ends with the tenant's first."""
    yesterday = now.date() - DAY
    days = [item.day for item in page.items]
    if not days or not _is_without_gap(yesterday, days):
        return False
    return page.next_cursor is not None or days[-1] <= tenant.created_at.astimezone(UTC).date()


def _is_without_gap(last: date, days: Sequence[date]) -> bool:
    return all(day == last - number * DAY for number, day in enumerate(days))


def _midnight_after(now: datetime) -> datetime:
    return datetime.combine(now.date() + DAY, time(), UTC)


def _of(tenant: Tenant) -> str:
    """What keys of the tenant begin with. Numbers of tenants begin anew with a new database, which may have the same
    Redis."""
    return f"outcomes:{tenant.pk}:{tenant.created_at.timestamp()}"


def _detail(row: OutcomeSummary) -> OutcomesOfDay:
    return OutcomesOfDay(
        day=row.day,
        sessions=[
            SessionCount(
                kind=SessionKind(kind),
                status=SessionStatus(status),
                reason=Reason(reason) if reason else None,
                number=number,
            )
            for kind, status, reason, number in row.sessions
        ],
        attempts=row.attempts,
        enrolments=row.enrolments,
        locks=row.locks,
        median_ms=row.median_ms,
        p95_ms=row.p95_ms,
    )
