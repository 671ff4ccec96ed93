"""Every kind of job."""

from __future__ import annotations

from recognition.background import trial, webhooks

KINDS = [*trial.KINDS, *webhooks.KINDS]
