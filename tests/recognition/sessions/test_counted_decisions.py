"""A decision is counted in the metrics when it is committed, and not before."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, transaction

from monitoring import metrics
from recognition.models import Decision
from recognition.sessions import lifecycle
from recognition.sessions.state import Outcome
from recognition.worker import Worker
from tests.recognition.failing import begun
from tests.recognition.support import Backend
from vocabulary.sessions import Reason

LOST = Outcome(False, Reason.NO_MATCH, None, None)


def counted() -> float:
    samples = (sample for metric in metrics.decisions.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


def decide_and_fail(worker: Worker, lease: Any) -> None:
    with transaction.atomic():
        lifecycle.decide(worker.deciding, lease, LOST)
        raise OperationalError("the disk is full")


def test_a_decision_whose_commit_fails_is_not_counted(worker: Worker, alice: Backend) -> None:
    lease = begun(worker, alice)
    before = counted()
    with pytest.raises(OperationalError, match="disk is full"):
        decide_and_fail(worker, lease)
    assert not Decision.across_tenants.exists()
    assert counted() == before
    lifecycle.decide(worker.deciding, lease, LOST)
    assert counted() == before + 1
