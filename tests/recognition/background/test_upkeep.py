"""New indexes and rotated secrets as jobs."""

from __future__ import annotations

import fcntl
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from config.service import service_settings
from gallery.models import Template, TemplateKey
from gallery.protection import reprotection
from gallery.protection.sealed import header
from gallery.stores import source
from gallery.stores.pgvector import projections
from jobs.models import Job
from jobs.workers.execution import execute
from recognition.background import upkeep
from tenants.models import Tenant
from tests.gallery.faces import face, search, secrets_of
from tests.gallery.stores.conftest import tables_of_pgvector
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, enrol, entries, finished, gallery, result_of
from vocabulary.jobs import JobStatus, JobType

PEOPLE = 7


def crowd(tenant: Tenant, people: int = PEOPLE) -> None:
    for person in range(people):
        enrol(tenant, f"p{person}", face(tenant.pk % 1_000 * 100 + person))


def finds(tenant: Tenant, person: int) -> bool:
    found = search(gallery(), tenant, face(tenant.pk % 1_000 * 100 + person), 1)
    return [one.subject_id for one in found] == [f"p{person}"]


def index_of(tenant: Tenant) -> Path:
    return service_settings().data_dir / "index" / str(tenant.pk) / gallery().model_id


def epochs(tenant: Tenant) -> set[bytes]:
    return {bytes(vector)[:5] for vector in Template.objects.filter(tenant=tenant).values_list("vector", flat=True)}


def test_an_index_is_made_anew_for_one_tenant_or_for_all(tenant: Tenant, twin: Tenant) -> None:
    crowd(tenant)
    crowd(twin, 2)
    assert finds(tenant, 3)
    before = (index_of(tenant) / "rows").stat().st_ino
    assert result_of(asked(tenant, JobType.REBUILD_INDEX)) == {"rebuilt": [{"tenant": "acme", "templates": PEOPLE}]}
    assert (index_of(tenant) / "rows").stat().st_ino != before
    assert finds(tenant, 3)
    job = asked(None, JobType.REBUILD_INDEX)
    names = [(one["tenant"], one["templates"]) for one in result_of(job)["rebuilt"]]
    assert names == [("acme", PEOPLE), ("globex", 2)]
    job = Job.across_tenants.get(pk=job.pk)
    assert (job.done, job.total) == (PEOPLE + 2, PEOPLE + 2)
    (created,) = entries(tenant, "job_created")
    assert created.details["type"] == "rebuild_index"


def test_all_indexes_are_made_though_the_job_is_killed_again_and_again(
    tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAGE", 2)
    doing.in_small_parts(monkeypatch)
    crowd(tenant)
    crowd(twin, 3)
    job = doing.killed_again_and_again(asked(None, JobType.REBUILD_INDEX))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert [one["templates"] for one in (job.result or {})["rebuilt"]] == [PEOPLE, 3]
    assert all(finds(tenant, person) for person in range(PEOPLE))
    assert not list(index_of(tenant).glob("rows.*"))


def test_a_cancelled_rebuild_leaves_the_index_as_it_was(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGE", 2)
    crowd(tenant)
    assert finds(tenant, 3)
    before = (index_of(tenant) / "rows").stat().st_ino
    doing.cancelled_in_the_middle(asked(tenant, JobType.REBUILD_INDEX), 4)
    assert (index_of(tenant) / "rows").stat().st_ino == before
    assert not list(index_of(tenant).glob("rows.*"))
    assert finds(tenant, 3)


def test_while_another_process_makes_the_index_the_job_waits_and_at_last_says_so(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BUSY_WAIT_S", 0.0)
    monkeypatch.setattr(upkeep, "MOST_WAITS", 2)
    crowd(tenant)
    result_of(asked(tenant, JobType.REBUILD_INDEX))
    with (index_of(tenant) / "renewal.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = finished(asked(tenant, JobType.REBUILD_INDEX))
    assert (job.status, job.runs) == (JobStatus.FAILED, 3)
    assert job.error == "another process makes the index anew just now: acme"
    assert result_of(asked(tenant, JobType.REBUILD_INDEX))["rebuilt"]


def test_with_pgvector_a_rebuild_makes_way_and_goes_on(
    tenant: Tenant, each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if each_database == "sqlite":
        pytest.skip("there is no pgvector in SQLite")
    monkeypatch.setattr(projections, "PAGE", 2)
    settings = service_settings().model_copy(update={"gallery_store": "pgvector"})
    monkeypatch.setattr(upkeep, "service_settings", lambda: settings)
    with tables_of_pgvector():
        crowd(tenant)
        doing.in_small_parts(monkeypatch)
        job = doing.killed_again_and_again(asked(tenant, JobType.REBUILD_INDEX))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert job.runs > 3
    assert [one["templates"] for one in (job.result or {})["rebuilt"]] == [PEOPLE]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprotection, "PAGE", 2)


@pytest.mark.usefixtures("small_pages")
def test_a_secret_is_rotated_once_however_often_the_job_is_killed(
    tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (tenant, twin):
        crowd(one)
    doing.in_small_parts(monkeypatch)
    job = doing.killed_again_and_again(asked(tenant, JobType.ROTATE_KEYS))
    assert job.status == JobStatus.SUCCEEDED, job.error
    rotated = reprotection.Rotated("acme", 2, PEOPLE, resumed=False)
    assert job.result == {"rewrapped": 0, "rotated": [asdict(rotated)], "deleted": 0}
    of_command = reprotection.rotate(twin, secrets_of(gallery()), lambda *_: None)
    assert replace(of_command, tenant="acme") == rotated
    assert epochs(tenant) == {header(2)}
    assert (job.done, job.total) == (PEOPLE, PEOPLE)
    assert [entry.details for entry in entries(tenant, "template_key_rotated")] == [{"epoch": 2}]
    assert finds(tenant, 3)


def test_a_rotation_that_is_killed_behind_its_last_page_tells_how_much_it_has_done(tenant: Tenant) -> None:
    crowd(tenant)
    job, go_on = asked(tenant, JobType.ROTATE_KEYS), reprotection.go_on

    def killed(*arguments: Any) -> None:
        go_on(*arguments)
        raise doing.Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reprotection, "go_on", killed)
        with pytest.raises(doing.Killed):
            execute(job.pk)
    doing.give_back(job)
    job = finished(job)
    assert (job.status, job.done, job.total) == (JobStatus.SUCCEEDED, PEOPLE, PEOPLE)


@pytest.mark.usefixtures("small_pages")
def test_a_cancelled_rotation_can_be_read_and_another_goes_on(tenant: Tenant) -> None:
    crowd(tenant)
    doing.cancelled_in_the_middle(asked(tenant, JobType.ROTATE_KEYS), 6)
    assert epochs(tenant) == {header(1), header(2)}
    assert finds(tenant, 3)
    (rotated,) = result_of(asked(tenant, JobType.ROTATE_KEYS))["rotated"]
    assert (rotated["epoch"], rotated["resumed"]) == (2, True)
    assert epochs(tenant) == {header(2)}


def test_leaked_secrets_are_deleted_at_once_and_others_stay(tenant: Tenant, twin: Tenant) -> None:
    for one in (tenant, twin):
        crowd(one, 2)
    assert result_of(asked(tenant, JobType.ROTATE_KEYS, finish=True))["deleted"] == 1
    assert list(TemplateKey.objects.filter(tenant=tenant).values_list("epoch", flat=True)) == [2]
    assert [entry.details for entry in entries(tenant, "template_key_deleted")] == [{"epochs": ["1"]}]
    found = result_of(asked(None, JobType.ROTATE_KEYS))
    assert [(one["tenant"], one["epoch"]) for one in found["rotated"]] == [("acme", 3), ("globex", 2)]


def test_only_wrapping_rotates_nothing(tenant: Tenant) -> None:
    crowd(tenant, 2)
    assert result_of(asked(None, JobType.ROTATE_KEYS, master=True)) == {"rewrapped": 0, "rotated": [], "deleted": 0}
    with pytest.raises(Exception, match="exclude each other"):
        asked(tenant, JobType.ROTATE_KEYS, master=True, finish=True)
