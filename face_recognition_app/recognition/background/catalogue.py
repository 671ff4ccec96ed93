"""Every kind of job."""

from __future__ import annotations

from recognition.background import (
    bulk_enroll,
    comparisons,
    outcomes,
    reembed,
    retention,
    subjects,
    trial,
    upkeep,
    webhooks,
)

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
