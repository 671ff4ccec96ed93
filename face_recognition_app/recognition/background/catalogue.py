"""Every kind of job."""

from __future__ import annotations

from recognition.background import bulk_enroll, trial

KINDS = [*bulk_enroll.KINDS, *trial.KINDS]
