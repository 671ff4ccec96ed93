"""Reports on how liveness has decided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database import clock
from recognition.outcomes import presentations
from tenants.models import Tenant
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, finished, result_of
from tests.recognition.background.sessions import ended
from vocabulary.jobs import JobStatus, JobType


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presentations, "PAGE", 3)


def shown(
    tenant: Tenant, what: str, *, passed: int = 0, refused: int = 0, gone: int = 0, label: str = "presentation"
) -> None:
    """Sessions of a test: those that liveness has passed, refused, and those in which nobody was seen to try."""
    at, said = clock.now() - timedelta(days=1), {label: what} if what else {}
    for _ in range(passed):
        ended(tenant, at, reason="no_match", status="failed", metadata=said)
    for _ in range(refused):
        ended(tenant, at, reason="spoof_suspected", status="failed", liveness="failed", metadata=said)
    for _ in range(gone):
        ended(tenant, at, reason="timeout", status="failed", liveness="failed", metadata=said)


def everything(tenant: Tenant) -> None:
    shown(tenant, "", passed=5, refused=2)
    shown(tenant, "bona_fide", passed=9, refused=1, gone=2)
    shown(tenant, "print", passed=1, refused=3)
    shown(tenant, "replay", refused=4, gone=1)
    ended(tenant, clock.now() - timedelta(days=1), liveness="not_required")
    ended(tenant, clock.now() - timedelta(days=40), reason="spoof_suspected", liveness="failed")


def test_rates_are_of_labelled_sessions_and_the_rest_is_counted(tenant: Tenant) -> None:
    everything(tenant)
    found = result_of(asked(tenant, JobType.PAD_REPORT))
    assert found["sessions"] == 28
    by_reason = {(row["outcome"], row["reason"]): row["sessions"] for row in found["decisions"]}
    assert by_reason == {("passed", "no_match"): 15, ("failed", "spoof_suspected"): 10, ("failed", "timeout"): 3}
    labelled = found["labelled"]
    assert labelled["apcer"] == 0.25
    of_print, of_replay = labelled["attacks"]
    assert (of_print["artefact"], of_print["apcer"]["errors"], of_print["apcer"]["tries"]) == ("print", 1, 4)
    assert of_print["apcer"]["high"] == pytest.approx(0.751, abs=0.001), "four presentations say little"
    assert (of_replay["apcer"]["rate"], of_replay["apcer"]["tries"], of_replay["non_responses"]) == (0.0, 4, 1)
    people = labelled["bona_fide"]
    assert (people["bpcer"]["errors"], people["bpcer"]["tries"], people["non_responses"]) == (1, 10, 2)


def test_without_labels_there_are_no_rates(tenant: Tenant) -> None:
    shown(tenant, "", passed=5, refused=2)
    shown(tenant, "print", refused=2, label="something_else")
    found = result_of(asked(tenant, JobType.PAD_REPORT))
    assert (found["sessions"], found["labelled"]) == (9, None)
    found = result_of(asked(tenant, JobType.PAD_REPORT, label="something_else"))
    assert [one["artefact"] for one in found["labelled"]["attacks"]] == ["print"]


def test_killed_or_in_parts_the_report_is_the_same(
    tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(tenant)
    shown(twin, "print", passed=1)
    whole = result_of(asked(tenant, JobType.PAD_REPORT))
    doing.in_small_parts(monkeypatch)
    job = doing.killed_again_and_again(asked(tenant, JobType.PAD_REPORT))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert {**(job.result or {}), "since": ""} == {**whole, "since": ""}
    assert (job.done, job.total) == (28, 28)
    doing.cancelled_in_the_middle(asked(tenant, JobType.PAD_REPORT), 2)


def test_a_label_with_a_word_of_its_own_for_each_session_is_refused(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presentations, "MOST_SPECIES", 3)
    for number in range(4):
        shown(tenant, f"customer {number}", passed=1)
    job = finished(asked(tenant, JobType.PAD_REPORT))
    assert (job.status, job.error) == (JobStatus.FAILED, "there are 4 different labels, and a report has 3")
