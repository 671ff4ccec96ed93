"""How an endpoint does: one that fails gets one try at a time and pauses between them, so that its deliveries do not
take the places of others; one that is gone, or has failed for days, is disabled."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from database import clock
from vocabulary.webhooks import Disabled
from webhooks.endpoints import disable, endpoints_of
from webhooks.models import Endpoint

RESTS_AFTER = 5
"""Failed tries in a row after which an endpoint gets its pauses."""
FIRST_REST_S = 2.0
LONGEST_REST_S = 300.0
PROBE = timedelta(seconds=30)
"""Longer than a try takes: meanwhile there is no second one."""


def wait_before_try(endpoint: Endpoint) -> float:
    """Seconds until a delivery may ask again; 0 when it may be tried now, and then others wait for it."""
    if endpoint.failures < RESTS_AFTER:
        return 0.0
    now = clock.now()
    rows = endpoints_of(endpoint.tenant).filter(pk=endpoint.pk)
    if rows.filter(Q(rests_until=None) | Q(rests_until__lte=now)).update(rests_until=now + PROBE):
        return 0.0
    until = endpoint.rests_until or now
    return max(1.0, (until - now).total_seconds()) + random.uniform(0, 2)  # noqa: S311 - so that not all ask at once


def note_success(endpoint: Endpoint) -> None:
    failing = endpoints_of(endpoint.tenant).filter(pk=endpoint.pk).exclude(failures=0)
    failing.update(failures=0, failing_since=None, rests_until=None)


def note_failure(endpoint: Endpoint, is_gone: bool, longest: timedelta) -> None:
    """In the caller's transaction. `longest`: how long an endpoint may fail before it is disabled."""
    now = clock.now()
    if is_gone:
        disable(endpoint, Disabled.GONE)
    elif endpoint.failing_since is not None and now - endpoint.failing_since > longest:
        disable(endpoint, Disabled.FAILING)
    endpoints_of(endpoint.tenant).filter(pk=endpoint.pk).update(
        failures=F("failures") + 1,
        failing_since=Coalesce(F("failing_since"), now),
        rests_until=_rest(endpoint.failures + 1, now),
    )


def _rest(failures: int, now: datetime) -> datetime | None:
    if failures < RESTS_AFTER:
        return None
    doublings = min(failures - RESTS_AFTER, 20)
    return now + timedelta(seconds=min(LONGEST_REST_S, FIRST_REST_S * 2.0**doublings))
