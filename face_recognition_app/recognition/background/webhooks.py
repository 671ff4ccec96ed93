"""Telling tenants' backends what happened."""

from __future__ import annotations

from jobs.kinds import Kind
from vocabulary.jobs import JobType
from webhooks.delivering import Deliver, deliver

KINDS = [
    Kind(JobType.DELIVER_WEBHOOK, "Sends an event to a webhook of its tenant.", Deliver, deliver, "io", recorded=False)
]
