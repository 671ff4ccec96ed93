"""Frames that were sent before: a recording of a session must not pass in another one."""

from __future__ import annotations

from django.utils import timezone

from core.liveness.policy import Policy
from recognition.models import SeenFrame
from tenants.models import Tenant

REFUSING = frozenset(Policy) - {Policy.NONE, Policy.PASSIVE}
"""Policies under which a frame that was seen before speaks against a session."""


def remember(tenant: Tenant, policy: Policy, digests: list[str]) -> bool:
    """Keep what a session sent; whether another one sent some of it before.

    Under the tenant's lock: of two sessions with the same frames, the one that is decided second is the replay.
    """
    if policy is Policy.NONE or not digests:
        return False
    distinct = set(digests)
    seen_before = SeenFrame.objects.filter(tenant=tenant, digest__in=distinct).exists()
    now = timezone.now()
    SeenFrame.objects.bulk_create(
        [SeenFrame(tenant=tenant, digest=digest, seen_at=now) for digest in distinct],
        update_conflicts=True,  # Who replays a recording again and again shall not outlast the memory.
        update_fields=["seen_at"],
        unique_fields=["tenant", "digest"],
    )
    return seen_before and policy in REFUSING
