from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from django.db import transaction

from core.types import Embedding, Embeddings
from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Subject, Template, TemplateChange, TemplateOrigin
from gallery.people import DuplicateFace, delete_subject, delete_template, store_templates
from gallery.protection import Protected
from gallery.protection.sealed import SealedProtection
from gallery.stores import source
from gallery.stores.base import Candidate
from gallery.stores.makers import MAKERS
from gallery.stores.pgvector import projections
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture, samples, search, secrets_of, size
from tests.gallery.stores.places import everywhere
from tests.gallery.workers import gallery_of

ALIKE = 0.8
ROUNDING = 1e-6


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.subject_id for candidate in found]


def brute_force(people: dict[str, list[Embedding]], probe: Embedding) -> list[Candidate]:
    best = [Candidate(name, max(float(one @ probe) for one in faces)) for name, faces in people.items() if faces]
    return sorted(best, key=lambda candidate: -candidate.similarity)


def assert_same(found: list[Candidate], expected: list[Candidate], within: float = ROUNDING) -> None:
    """The same but for the rounding, which may let two that are equally similar change places."""
    assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected], abs=within)
    for one, other in zip(found, expected, strict=True):
        assert one.subject_id == other.subject_id or abs(one.similarity - other.similarity) < within


def assert_same_rows(found: Embeddings, expected: list[Embedding]) -> None:
    """The same, in any order, up to the rounding."""
    assert len(found) == len(expected)
    best = np.stack(expected) @ found.T
    assert best.max(axis=1) == pytest.approx(1.0, abs=ROUNDING)


@pytest.fixture
def crowd(tenant: Tenant, gallery: Gallery) -> dict[str, list[Embedding]]:
    people = {f"person-{n}": [picture(face(n), ALIKE, 10 * n + k) for k in range(1 + n % 4)] for n in range(40)}
    for name, faces in people.items():
        enrol(tenant, name, *faces, gallery=gallery)
    return people


def test_search_finds_what_comparing_with_everything_finds(
    tenant: Tenant, gallery: Gallery, crowd: dict[str, list[Embedding]]
) -> None:
    for seed in range(20):
        probe = picture(face(seed), 0.5, 5_000 + seed)
        expected = brute_force(crowd, probe)
        assert_same(search(gallery, tenant, probe, 100), expected)
        assert_same(search(gallery, tenant, probe, 7), expected[:7])


def test_several_probes_of_one_face_count_with_the_best_comparison(
    tenant: Tenant, gallery: Gallery, crowd: dict[str, list[Embedding]]
) -> None:
    probes = [picture(face(3), 0.5, 6_000 + k) for k in range(3)]
    rankings = [{one.subject_id: one.similarity for one in brute_force(crowd, probe)} for probe in probes]
    best = [Candidate(name, max(ranking[name] for ranking in rankings)) for name in crowd]
    expected = sorted(best, key=lambda candidate: -candidate.similarity)[:5]
    assert_same(list(gallery.store.search(tenant, probes, 5).candidates), expected)


def test_a_subject_is_found_once_with_its_best_template(tenant: Tenant, gallery: Gallery) -> None:
    probe = face(1)
    enrol(tenant, "alice", *(picture(probe, cosine, k) for k, cosine in enumerate([0.7, 0.9, 0.8])), gallery=gallery)
    assert_same(search(gallery, tenant, probe, 10), [Candidate("alice", 0.9)], within=1e-3)


def test_the_templates_of_one_subject_are_told_alone(
    tenant: Tenant, gallery: Gallery, crowd: dict[str, list[Embedding]]
) -> None:
    assert_same_rows(gallery.store.of_subject(tenant, "person-7"), crowd["person-7"])
    assert len(gallery.store.of_subject(tenant, "nobody")) == 0


def test_a_subject_with_very_many_templates_hides_no_other(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "other", face(2), gallery=gallery)
    enrol(tenant, "alice", face(1), gallery=gallery)
    alice = Subject.objects.get(tenant=tenant, subject_id="alice")
    many = samples(*(picture(face(1), 0.9, n) for n in range(200)))
    with transaction.atomic():
        tenant.lock()
        store_templates(tenant, alice, many, gallery, TemplateOrigin.ENROLLED)
    assert ids(search(gallery, tenant, face(1), 2)) == ["alice", "other"]


def test_what_another_store_enrols_and_erases_is_followed(tenant: Tenant, gallery: Gallery, tmp_path: Path) -> None:
    another = gallery_of(tmp_path / "another index", "exact")
    for number in range(30):
        enrol(tenant, f"p{number}", face(number), gallery=another)
    assert_same(search(gallery, tenant, picture(face(7), ALIKE), 1), [Candidate("p7", ALIKE)])
    enrol(tenant, "later", face(50), gallery=another)
    delete_subject(tenant, "p7")
    assert ids(search(gallery, tenant, face(50), 1)) == ["later"]
    assert size(gallery, tenant) == 30


@everywhere
def test_another_connection_sees_each_commit_and_nothing_before_it(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)

    def seen() -> list[str]:
        with ThreadPoolExecutor(1) as thread:
            ranking = thread.submit(with_connection, search, other_worker, tenant, face(2), 5).result(30)
        return sorted(ids(ranking))

    with transaction.atomic():
        enrol(tenant, "bob", face(2), gallery=gallery)
        assert ids(search(gallery, tenant, face(2), 1)) == ["bob"]
        assert seen() == ["alice"]
    assert seen() == ["alice", "bob"]
    delete_subject(tenant, "alice")
    assert seen() == ["bob"]


def test_nobody_is_found_where_nobody_is_enrolled(tenant: Tenant, gallery: Gallery) -> None:
    assert search(gallery, tenant, face(1), 5) == []
    assert size(gallery, tenant) == 0


def test_another_worker_sees_new_templates_at_once(tenant: Tenant, gallery: Gallery, other_worker: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert ids(search(other_worker, tenant, face(1), 5)) == ["alice"]
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert ids(search(other_worker, tenant, face(2), 1)) == ["bob"]


def test_an_erased_subject_is_gone_at_once_in_every_worker(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert size(other_worker, tenant) == 3
    delete_subject(tenant, "alice")
    for each in (gallery, other_worker):
        assert ids(search(each, tenant, face(1), 5)) == ["bob"]
        assert len(each.store.of_subject(tenant, "alice")) == 0


def test_an_erased_template_is_gone_at_once_in_every_worker(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "alice", picture(face(1), ALIKE), gallery=gallery)
    assert size(other_worker, tenant) == 2
    delete_template(tenant, "alice", Template.across_tenants.order_by("id")[0].public_id)
    assert_same(search(other_worker, tenant, face(1), 5), [Candidate("alice", ALIKE)], within=1e-3)


def test_a_face_enrolled_again_after_erasure_is_found_under_its_new_subject(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert ids(search(other_worker, tenant, face(1), 5)) == ["alice"]
    delete_subject(tenant, "alice")
    enrol(tenant, "alicia", face(1), gallery=gallery)
    assert ids(search(other_worker, tenant, face(1), 5)) == ["alicia"]


def test_tenants_never_find_each_others_people(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(2), gallery=gallery)
    assert ids(search(gallery, tenant, face(2), 5)) == ["alice"]
    assert ids(search(gallery, other_tenant, face(1), 5)) == ["eve"]
    assert len(gallery.store.of_subject(other_tenant, "alice")) == 0


def test_two_tenants_may_enrol_one_face_under_one_name(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    for each in (tenant, other_tenant):
        enrol(each, "alice", face(1), gallery=gallery)
    delete_subject(tenant, "alice")
    assert ids(search(gallery, other_tenant, face(1), 5)) == ["alice"]
    assert search(gallery, tenant, face(1), 5) == []


def test_templates_of_another_model_are_not_compared(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert search(gallery_of(tmp_path, store_name, "model-b"), tenant, face(1), 5) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_workers_agree_with_the_truth_through_any_order_of_changes(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, seed: int
) -> None:
    choose = random.Random(seed)
    truth: dict[str, list[Embedding]] = {f"p{n}": [] for n in range(4)}
    for step in range(40):
        number = choose.randrange(4)
        name = f"p{number}"
        if choose.random() < 0.6:
            template = picture(face(number), ALIKE, 100 * seed + step)
            enrol(tenant, name, template, gallery=choose.choice([gallery, other_worker]))
            truth[name].append(template)
        elif truth[name]:
            rows = Template.across_tenants.filter(subject__subject_id=name).order_by("id")
            if choose.random() < 0.5:
                index = choose.randrange(len(truth[name]))
                delete_template(tenant, name, rows[index].public_id)
                del truth[name][index]
            else:
                delete_subject(tenant, name)
                truth[name].clear()
        probe = picture(face(number), 0.5, step)
        assert_same(search(choose.choice([gallery, other_worker]), tenant, probe, 10), brute_force(truth, probe))


@everywhere
def test_threads_that_search_while_others_enrol_see_every_commit(tenant: Tenant, gallery: Gallery) -> None:
    """Each thread finds the person that it has just enrolled, and all are present at the end."""

    def enrol_and_find(number: int) -> bool:
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
        found = search(gallery, tenant, face(number), 1)[0]
        return found.subject_id == f"p{number}" and found.similarity > 0.99

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda number: with_connection(enrol_and_find, number), range(24)))
    assert size(gallery, tenant) == 24
    everyone = np.stack([face(number) for number in range(24)])
    assert {search(gallery, tenant, probe, 1)[0].subject_id for probe in everyone} == {f"p{n}" for n in range(24)}


@everywhere
def test_of_two_simultaneous_enrolments_of_one_face_exactly_one_wins(
    tenant: Tenant, tmp_path: Path, store_name: str
) -> None:
    workers = [gallery_of(tmp_path, store_name) for _ in range(2)]
    for turn in range(5):
        start = threading.Barrier(2)

        def enrol_at_once(number: int, turn: int = turn, start: threading.Barrier = start) -> str:
            workers[number].store.refresh(tenant)
            start.wait(10)
            try:
                enrol(tenant, f"p{number}-{turn}", picture(face(turn), 0.9, number), gallery=workers[number])
            except DuplicateFace:
                return "refused"
            return "enrolled"

        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(with_connection, [enrol_at_once] * 2, range(2)))
        assert sorted(outcomes) == ["enrolled", "refused"]
        assert [size(worker, tenant) for worker in workers] == [turn + 1] * 2


@everywhere
def test_what_is_rolled_back_was_searched_and_is_not_kept(tenant: Tenant, gallery: Gallery) -> None:
    """A rolled-back change's revision is reused by the next change, which the copy must still read."""
    enrol(tenant, "alice", face(1), gallery=gallery)
    gallery.store.refresh(tenant)
    with transaction.atomic():
        enrol(tenant, "ghost", face(2), gallery=gallery)
        delete_subject(tenant, "alice")
        gallery.store.refresh(tenant)
        assert ids(search(gallery, tenant, face(2), 5)) == ["ghost"]
        assert size(gallery, tenant) == 1
        transaction.set_rollback(True)
    assert ids(search(gallery, tenant, face(2), 5)) == ["alice"]
    enrol(tenant, "bob", face(3), gallery=gallery)
    delete_subject(tenant, "alice")
    assert ids(search(gallery, tenant, face(2), 5)) == ["bob"]


@everywhere
def test_a_gallery_read_for_the_first_time_in_a_transaction_is_not_kept(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    with transaction.atomic():
        enrol(tenant, "ghost", face(2), gallery=other_worker)
        assert sorted(ids(search(other_worker, tenant, face(2), 5))) == ["alice", "ghost"]
        transaction.set_rollback(True)
    enrol(tenant, "bob", face(3), gallery=gallery)
    assert sorted(ids(search(other_worker, tenant, face(2), 5))) == ["alice", "bob"]


def test_a_refresh_reads_what_changed_and_nothing_else(tenant: Tenant, gallery: Gallery, other_worker: Gallery) -> None:
    for number in range(30):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    other_worker.store.refresh(tenant)
    enrol(tenant, "new", face(100), gallery=gallery)
    delete_subject(tenant, "p7")
    restored: list[int] = []
    assert isinstance(other_worker.protection, SealedProtection)
    restore = other_worker.protection.restore_turned

    def counting(stored: Sequence[Protected], tenant: Tenant, epoch: int) -> Embeddings:
        restored.append(len(stored))
        return restore(stored, tenant, epoch)

    other_worker.protection.restore_turned = counting  # type: ignore[method-assign]
    assert ids(search(other_worker, tenant, face(100), 1)) == ["new"]
    assert ids(search(other_worker, tenant, face(7), 1)) != ["p7"]
    assert sum(restored) <= 1


def test_who_is_further_behind_than_the_log_reads_all_anew(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    other_worker.store.refresh(tenant)
    delete_subject(tenant, "alice")
    enrol(tenant, "carol", face(3), gallery=gallery)
    TemplateChange.across_tenants.filter(added=False).delete()
    assert sorted(ids(search(other_worker, tenant, face(1), 5))) == ["bob", "carol"]


def test_more_templates_than_one_page_are_all_read(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (source, projections):
        monkeypatch.setattr(module, "PAGE", 3)
    for number in range(8):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    assert size(other_worker, tenant) == 8
    for number in range(8, 16):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    assert size(other_worker, tenant) == 16
    assert ids(search(other_worker, tenant, face(15), 1)) == ["p15"]


def test_a_tenant_whose_gallery_is_being_read_holds_up_no_other(
    tenant: Tenant, other_tenant: Tenant, tmp_path: Path, store_name: str
) -> None:
    before = gallery_of(tmp_path, "exact")
    enrol(tenant, "alice", face(1), gallery=before)
    enrol(other_tenant, "eve", face(2), gallery=before)
    reading, go_on = threading.Event(), threading.Event()

    class SlowProtection(SealedProtection):
        def restore_turned(self, stored: Sequence[Protected], of: Tenant, epoch: int) -> Embeddings:
            if of == tenant:
                reading.set()
                assert go_on.wait(30)
            return super().restore_turned(stored, of, epoch)

    slow = MAKERS[store_name](
        before.model_id, SlowProtection(before.model_id, secrets_of(before)), tmp_path / "another index"
    )
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(with_connection, slow.search, tenant, [face(1)], 1)
        try:
            assert reading.wait(30)
            other = threads.submit(with_connection, slow.search, other_tenant, [face(2)], 1)
            assert [one.subject_id for one in other.result(30).candidates] == ["eve"]
            assert not first.done()
        finally:
            go_on.set()
        assert [one.subject_id for one in first.result(30).candidates] == ["alice"]


@everywhere
def test_a_gallery_of_an_older_database_replaces_the_copy(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert size(gallery, tenant) == 2
    Template.across_tenants.filter(subject__subject_id="bob").delete()
    TemplateChange.objects.filter(tenant=tenant, revision__gt=1).delete()
    Tenant.objects.filter(pk=tenant.pk).update(gallery_version=1)
    assert ids(search(gallery, tenant, face(2), 5)) == ["alice"]


def test_a_template_that_is_none_is_an_error_and_no_face(tenant: Tenant, tmp_path: Path, store_name: str) -> None:
    before = gallery_of(tmp_path, "exact")
    enrol(tenant, "alice", face(1), gallery=before)
    enrol(tenant, "bob", face(2), gallery=before)
    Template.across_tenants.filter(subject__subject_id="bob").update(vector=face(2).tobytes()[:-4])
    with pytest.raises(ValueError, match=r"form \d+ of what is stored is unknown"):
        search(gallery_of(tmp_path / "another index", store_name), tenant, face(2), 1)
