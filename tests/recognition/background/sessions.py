"""Sessions that have ended, with what was decided and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from recognition.models import Decision, Session
from tenants.models import Tenant


def ended(
    tenant: Tenant,
    at: datetime,
    *,
    kind: str = "authentication",
    status: str = "succeeded",
    reason: str = "",
    liveness: str = "passed",
    took_s: float | None = 2.0,
    metadata: dict[str, Any] | None = None,
) -> Session:
    """A session that was made at that time. `took_s`: from its first connection to its decision; None: no client came,
    and nothing was decided."""
    session = Session.objects.create(
        tenant=tenant,
        kind=kind,
        liveness="passive",
        target_samples=1,
        status=status,
        token_hash=uuid4().hex,
        request_digest="",
        started_at=None if took_s is None else at,
        expires_at=at + timedelta(minutes=1),
        metadata=metadata or {},
    )
    Session.objects.filter(tenant=tenant, pk=session.pk).update(created_at=at)
    if took_s is not None:
        decision = Decision.objects.create(
            tenant=tenant, session=session, success=not reason, liveness=liveness, reason=reason, token=""
        )
        Decision.objects.filter(tenant=tenant, pk=decision.pk).update(created_at=at + timedelta(seconds=took_s))
    return session
