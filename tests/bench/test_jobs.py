"""The bench of jobs says how many there are a second, and finds what is wrong after deaths and silence."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import replace

from audit.chain import Event, record
from bench.jobs.mixture import found_of, mixed
from bench.jobs.report import Chaos, HighWaits, Plan, Rate, Report
from database import clock
from jobs.models import DeadLetter, Job
from jobs.submitting import submit_many
from tenants.keys import create_tenant
from testkit.service import REPOSITORY
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus

PLAN = Plan("sqlite", 100, 2, 20.0)
CHAOS = Chaos("deaths", 10.0, 5, 120, {"noop succeeded": 95, "fail dead": 1}, 0, 4, 0, 0)
GOOD = Report(PLAN, Rate(5_000.0, 1_000.0), HighWaits(20.0, 100.0), (CHAOS,))


def test_a_job_that_ends_otherwise_fails_the_bench() -> None:
    assert GOOD.is_good
    for bad in (replace(CHAOS, wrong=1), replace(CHAOS, erased_twice=1), replace(CHAOS, other_letters=1)):
        assert not replace(GOOD, chaos=(CHAOS, bad)).is_good
    assert not replace(GOOD, rate=Rate(5_000.0, 999.0)).is_good
    assert not replace(GOOD, high=HighWaits(20.0, 101.0)).is_good


def test_what_went_wrong_is_found(transactional_db: None) -> None:
    """The first job is to be refused, the second to die, the fifth to erase a person; the last one is lost."""
    tenant, _ = create_tenant("acme")
    planned, somebody = mixed(tenant, 6), uuid.uuid4()
    pks = [job.pk for job in submit_many(tenant, [one.new for one in planned])]
    for pk, one in zip(pks, planned, strict=True):
        Job.objects.filter(tenant=tenant, pk=pk).update(status=one.end)
    DeadLetter.objects.create(job_id=pks[1], reason="as it should", at=clock.now())
    record(tenant.pk, Event(AuditKind.SUBJECT_ERASED, somebody))
    good = found_of(tenant, planned, pks)
    assert (good.wrong, good.erased, good.erased_twice, good.other_letters) == (0, 1, 0, 0)

    Job.objects.filter(tenant=tenant, pk=pks[0]).update(status=JobStatus.SUCCEEDED)
    Job.objects.filter(tenant=tenant, pk=pks[5]).delete()
    for job in (pks[1], pks[3], None):
        DeadLetter.objects.create(job_id=job, reason="once more", at=clock.now())
    record(tenant.pk, Event(AuditKind.SUBJECT_ERASED, somebody))
    bad = found_of(tenant, planned, pks)
    assert (bad.wrong, bad.erased, bad.erased_twice, bad.other_letters) == (2, 1, 1, 3)
    assert bad.ends["fail succeeded in place of failed"] == bad.ends["noop lost in place of succeeded"] == 1


def test_a_small_run_survives_deaths_and_a_silent_redis() -> None:
    parts = ["--parts", "rate", "redis-silent"]
    command = [sys.executable, "-m", "bench.jobs", *parts, "--jobs", "40", "--away-s", "3", "--database", "sqlite"]
    done = subprocess.run([*command, "--json"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["rate"]["done"] > 0
    assert report["high"] is None
    [chaos] = report["chaos"]
    assert (chaos["wrong"], chaos["erased"], chaos["erased_twice"], chaos["other_letters"]) == (0, 2, 0, 0), chaos
    assert sum(chaos["ends"].values()) == 40
    assert chaos["deaths"] > 0
