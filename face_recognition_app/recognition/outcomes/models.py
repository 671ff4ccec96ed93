"""Numbers of what a tenant's sessions came to on one day."""

from __future__ import annotations

from django.db import models

from database.owned import TenantOwned
from tenants.models import Tenant


class OutcomeSummary(TenantOwned):
    """One day (UTC) of one tenant, as it was in the night after it.

    `sessions`: [kind, status, reason, number] of the sessions that were made on that day. `attempts`: those of them
    that claimed or looked for somebody, and were connected. `locks` and `enrolments`: of the day, by the audit trail.
    `median_ms` and `p95_ms`: from the first connection to the decision; null when nothing was decided.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="outcome_summaries")
    day = models.DateField()
    sessions = models.JSONField(default=list)
    attempts = models.PositiveIntegerField()
    locks = models.PositiveIntegerField()
    enrolments = models.PositiveIntegerField()
    median_ms = models.PositiveIntegerField(null=True)
    p95_ms = models.PositiveIntegerField(null=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "day"], name="one_summary_per_day")]
        indexes = [models.Index(fields=["day"], name="summary_by_age")]

    def __str__(self) -> str:
        return f"{self.tenant_id} on {self.day}"
