from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.types import Embedding
from gallery.models import Template
from gallery.people import delete_subject, delete_template
from gallery.search import Candidate, Gallery
from recognition.database import with_connection
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture

ALIKE = 0.8


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.subject_id for candidate in found]


def brute_force(people: dict[str, list[Embedding]], probe: Embedding) -> list[Candidate]:
    best = [Candidate(name, max(float(kept @ probe) for kept in faces)) for name, faces in people.items() if faces]
    return sorted(best, key=lambda candidate: -candidate.similarity)


def assert_same(found: list[Candidate], expected: list[Candidate]) -> None:
    assert ids(found) == ids(expected)
    assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected], abs=1e-5)


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
        assert_same(gallery.search(tenant, probe, 100), expected)
        assert_same(gallery.search(tenant, probe, 7), expected[:7])


def test_several_probes_of_one_face_count_with_the_best_comparison(
    tenant: Tenant, gallery: Gallery, crowd: dict[str, list[Embedding]]
) -> None:
    probes = [picture(face(3), 0.5, 6_000 + k) for k in range(3)]
    rankings = [{one.subject_id: one.similarity for one in brute_force(crowd, probe)} for probe in probes]
    best = [Candidate(name, max(ranking[name] for ranking in rankings)) for name in crowd]
    expected = sorted(best, key=lambda candidate: -candidate.similarity)[:5]
    assert_same(gallery.search_any(tenant, probes, 5), expected)


def test_a_subject_is_found_once_with_its_best_template(tenant: Tenant, gallery: Gallery) -> None:
    probe = face(1)
    enrol(tenant, "alice", *(picture(probe, cosine, k) for k, cosine in enumerate([0.7, 0.9, 0.8])), gallery=gallery)
    assert_same(gallery.search(tenant, probe, 10), [Candidate("alice", 0.9)])


def test_compare_is_with_one_subject_only(tenant: Tenant, gallery: Gallery, crowd: dict[str, list[Embedding]]) -> None:
    found = gallery.compare(tenant, "person-7", face(8))
    assert found is not None
    assert found[0] == pytest.approx(max(float(kept @ face(8)) for kept in crowd["person-7"]), abs=1e-5)
    assert found[1] == 4
    assert gallery.compare(tenant, "nobody", face(8)) is None


def test_nobody_is_found_where_nobody_is_enrolled(tenant: Tenant, gallery: Gallery) -> None:
    assert gallery.search(tenant, face(1), 5) == []
    assert gallery.size(tenant) == 0


def test_another_worker_sees_new_templates_at_once(tenant: Tenant, gallery: Gallery, other_worker: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert ids(other_worker.search(tenant, face(1), 5)) == ["alice"]
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert ids(other_worker.search(tenant, face(2), 1)) == ["bob"]


def test_an_erased_subject_is_gone_at_once_in_every_worker(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert other_worker.size(tenant) == 3
    delete_subject(tenant, "alice")
    for each in (gallery, other_worker):
        assert ids(each.search(tenant, face(1), 5)) == ["bob"]
        assert each.compare(tenant, "alice", face(1)) is None


def test_an_erased_template_is_gone_at_once_in_every_worker(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "alice", picture(face(1), ALIKE), gallery=gallery)
    assert other_worker.size(tenant) == 2
    delete_template(tenant, "alice", Template.objects.order_by("id")[0].public_id)
    assert_same(other_worker.search(tenant, face(1), 5), [Candidate("alice", ALIKE)])


def test_a_face_enrolled_again_after_erasure_is_found_under_its_new_subject(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert ids(other_worker.search(tenant, face(1), 5)) == ["alice"]
    delete_subject(tenant, "alice")
    enrol(tenant, "alicia", face(1), gallery=gallery)
    assert ids(other_worker.search(tenant, face(1), 5)) == ["alicia"]


def test_tenants_never_find_each_others_people(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(2), gallery=gallery)
    assert ids(gallery.search(tenant, face(2), 5)) == ["alice"]
    assert ids(gallery.search(other_tenant, face(1), 5)) == ["eve"]
    assert gallery.compare(other_tenant, "alice", face(1)) is None


def test_two_tenants_may_enrol_one_face_under_one_name(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    for each in (tenant, other_tenant):
        enrol(each, "alice", face(1), gallery=gallery)
    delete_subject(tenant, "alice")
    assert ids(gallery.search(other_tenant, face(1), 5)) == ["alice"]
    assert gallery.search(tenant, face(1), 5) == []


def test_templates_of_another_model_are_not_compared(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert Gallery("model-b").search(tenant, face(1), 5) == []


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
            rows = Template.objects.filter(subject__subject_id=name).order_by("id")
            if choose.random() < 0.5:
                index = choose.randrange(len(truth[name]))
                delete_template(tenant, name, rows[index].public_id)
                del truth[name][index]
            else:
                delete_subject(tenant, name)
                truth[name].clear()
        probe = picture(face(number), 0.5, step)
        assert_same(choose.choice([gallery, other_worker]).search(tenant, probe, 10), brute_force(truth, probe))


def test_threads_that_search_while_others_enrol_see_every_commit(tenant: Tenant, gallery: Gallery) -> None:
    """Each finds the person that it has just enrolled itself, and all are there in the end."""

    def enrol_and_find(number: int) -> bool:
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
        found = gallery.search(tenant, face(number), 1)[0]
        return found.subject_id == f"p{number}" and found.similarity > 0.99

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda number: with_connection(enrol_and_find, number), range(24)))
    assert gallery.size(tenant) == 24
    everyone = np.stack([face(number) for number in range(24)])
    assert {gallery.search(tenant, probe, 1)[0].subject_id for probe in everyone} == {f"p{n}" for n in range(24)}
