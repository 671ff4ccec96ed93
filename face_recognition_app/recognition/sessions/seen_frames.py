"""Memory of the frames of past sessions: a recording of one session must not pass in another."""

from __future__ import annotations

from datetime import UTC, datetime

from core.liveness.policy import Policy
from database import clock
from recognition.models import SeenFrame
from tenants.models import Tenant

REFUSING = frozenset(Policy) - {Policy.NONE, Policy.PASSIVE}
"""Policies under which a frame that was seen before speaks against a session."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def remember(tenant: Tenant, policy: Policy, digests: list[str]) -> bool:
    """Remember the frames of a session. Returns whether another session sent any of them and `policy` refuses that.

    Of two sessions with the same frames, the one that is decided second is the replay: its insertion waits until the
    other's transaction has ended. Rows are inserted and locked in one order, so that no two wait for each other.
    """
    if policy is Policy.NONE or not digests:
        return False
    distinct = sorted(set(digests))
    SeenFrame.objects.bulk_create(
        [SeenFrame(tenant=tenant, digest=digest, seen_at=_NEVER) for digest in distinct],
        update_conflicts=True,
        update_fields=["tenant"],  # Changes nothing, but locks a row that is there.
        unique_fields=["tenant", "digest"],
    )
    held = SeenFrame.objects.filter(tenant=tenant, digest__in=distinct)
    seen_before = held.filter(seen_at__gt=_NEVER).exists()
    held.update(seen_at=clock.in_query())  # Each replay renews the memory: repeating one cannot outlast it.
    return seen_before and policy in REFUSING
