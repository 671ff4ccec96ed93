"""Every kind of job."""

from __future__ import annotations

from recognition.background import (
    comparisons,
    outcomes,
    reembed,
    retention,
    subjects,
    trial,
    upkeep,
    webhooks,
)
from recognition.background.imports import bulk_enroll

KINDS = [
    *bulk_enroll.KINDS,
    *comparisons.KINDS,
    *outcomes.KINDS,
    *reembed.KINDS,
    *retention.KINDS,
    *subjects.KINDS,
    *trial.KINDS,
    *upkeep.KINDS,
    *webhooks.KINDS,
]
