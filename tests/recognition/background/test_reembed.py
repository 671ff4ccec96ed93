"""Moves to another embedder as jobs."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import AuditEntry
from config.service import service_settings
from gallery import binding, reembedding
from gallery.models import Reembedded, Template
from gallery.people import Sample
from gallery.reembedding import beside
from gallery.reembedding.switching import switch
from jobs.models import Job
from jobs.workers.execution import execute
from recognition.background import reembed
from tenants.models import Tenant
from tests.gallery.reembedding.moving import FORMER, NEW, embed_picture, embedded
from tests.gallery.workers import gallery_of
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, enrol_shown, entries, finished, gallery, result_of
from vocabulary.jobs import JobStatus, JobType

PEOPLE = 7
BLIND = 3
"""The person whose picture shows nobody to the new embedder."""


@pytest.fixture(autouse=True)
def other_embedder(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Small pages, and an embedder that notes which pictures it was given."""
    given: list[int] = []

    def embed(picture: bytes) -> object:
        given.append(int(picture))
        return None if int(picture) == BLIND else embed_picture(picture, NEW)

    monkeypatch.setattr(beside, "PAGE", 2)
    monkeypatch.setattr(reembed, "embedder", lambda deciding: embed)
    return given


def keep(tenant: Tenant, *people: int, pictures: bool = True) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=30)
    former = gallery_of(service_settings().data_dir, "exact", FORMER)
    for person in people:
        content = str(person).encode() if pictures else b""
        enrol_shown(tenant, f"p{person}", Sample(embedded(person, FORMER), 0.5, content), former)


def everybody(tenant: Tenant) -> None:
    keep(tenant, *range(PEOPLE))


def models(tenant: Tenant) -> set[str]:
    return set(Template.objects.filter(tenant=tenant).values_list("model_id", flat=True))


def test_a_gallery_is_moved_as_the_command_moves_it(tenant: Tenant, twin: Tenant) -> None:
    keep(tenant, 0, 1, 2)
    found = result_of(asked(tenant, JobType.REEMBED))
    model_id = gallery().model_id
    moved = {"tenant": "acme", "model_id": model_id, "templates": 3, "erased": 0, "adaptive": 0, "feedback": 0}
    assert found == {"model_id": model_id, "moved": [moved]}
    assert models(tenant) == {model_id}
    assert binding.model_of(tenant) == gallery().model
    assert [entry.details["templates"] for entry in entries(tenant, "gallery_moved")] == [3]
    assert result_of(asked(tenant, JobType.REEMBED)) == {"model_id": model_id, "moved": []}


def test_killed_again_and_again_it_goes_on_where_it_was(tenant: Tenant, other_embedder: list[int]) -> None:
    keep(tenant, 0, 1, 2, 4, 5, 6)
    job = doing.killed_again_and_again(asked(tenant, JobType.REEMBED))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert [moved["templates"] for moved in (job.result or {})["moved"]] == [6]
    assert len(entries(tenant, "gallery_moved")) == 1
    assert models(tenant) == {gallery().model_id}
    assert (job.done, job.total) == (6, 6)
    assert other_embedder == [0, 1, 2, 4, 5, 6], "no picture is embedded twice"


def test_in_parts_pictures_that_show_nobody_are_not_tried_again(
    tenant: Tenant, other_embedder: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody(tenant)
    doing.in_small_parts(monkeypatch)
    job = asked(tenant, JobType.REEMBED, erase_unmovable=True)
    (moved,) = result_of(job)["moved"]
    assert (moved["templates"], moved["erased"]) == (PEOPLE - 1, 1)
    assert Job.across_tenants.get(pk=job.pk).runs > 3
    assert other_embedder.count(BLIND) == 1


def test_the_operator_moves_all_galleries(tenant: Tenant, twin: Tenant) -> None:
    keep(tenant, 0, 1)
    keep(twin, 2)
    found = result_of(asked(None, JobType.REEMBED))
    assert [(one["tenant"], one["templates"]) for one in found["moved"]] == [("acme", 2), ("globex", 1)]


def test_a_run_that_was_thought_dead_switches_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tenant, 0, 1)
    job = asked(tenant, JobType.REEMBED)
    real = switch

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        doing.overtake(job)
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(reembedding, "switch", overtaken)
        execute(job.pk)
    assert models(tenant) == {FORMER}
    doing.give_back(job)
    assert [moved["templates"] for moved in result_of(job)["moved"]] == [2]


def test_what_cannot_be_moved_is_refused_and_nothing_is_changed(tenant: Tenant) -> None:
    keep(tenant, 0)
    keep(tenant, 1, pictures=False)
    job = finished(asked(tenant, JobType.REEMBED))
    assert job.status == JobStatus.FAILED
    assert "1 templates" in job.error or "1 template" in job.error
    assert models(tenant) == {FORMER}


def test_a_cancelled_move_leaves_the_gallery_as_it_was_and_another_goes_on(tenant: Tenant) -> None:
    keep(tenant, 0, 1, 2, 4)
    doing.cancelled_in_the_middle(asked(tenant, JobType.REEMBED), 3)
    assert models(tenant) == {FORMER}
    assert 0 < Reembedded.objects.filter(tenant=tenant).count() < 4
    assert not AuditEntry.objects.filter(tenant=tenant, kind="gallery_moved").exists()
    assert [moved["templates"] for moved in result_of(asked(tenant, JobType.REEMBED))["moved"]] == [4]
