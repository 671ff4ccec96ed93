"""What feedback excludes, whom it never locks out, and how it is taken back."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Embedding
from gallery import feedback, people
from gallery.feedback import MARGIN, MOST_PER_SUBJECT, Source
from gallery.matching import Gallery
from gallery.models import Feedback
from gallery.rates.calibration import read_impostors
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from tests.gallery.faces import RULES, enrol, face, picture, unit

FMR, FPIR = RULES.target_fmr, RULES.target_fpir
THRESHOLD = threshold_for(FMR, 1)


def say_not(tenant: Tenant, gallery: Gallery, subject_id: str, probe: Embedding) -> int:
    subject = people.find_subject(tenant, subject_id)
    return feedback.reject(tenant, subject, probe, gallery.model_id, gallery.protection, Source())


def between(one: Embedding, to_one: float, other: Embedding, to_other: float, seed: int = 0) -> Embedding:
    """An embedding with these similarities to two others."""
    basis, _ = np.linalg.qr(np.stack([one, other, face(10_000 + seed)]).T)
    first, second = np.linalg.solve(np.stack([one, other]) @ basis[:, :2], [to_one, to_other])
    rest = np.sqrt(1 - first**2 - second**2)
    return unit(basis @ np.array([first, second, rest]))


@pytest.fixture
def lookalike(tenant: Tenant, gallery: Gallery) -> Embedding:
    """Somebody who is taken for alice, and was told not to be her."""
    enrol(tenant, "alice", face(1), gallery=gallery)
    rejected = picture(face(1), THRESHOLD + 0.03)
    say_not(tenant, gallery, "alice", rejected)
    return rejected


@pytest.mark.usefixtures("each_database")
def test_the_rejected_person_is_not_taken_for_the_subject_again(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    rejected = picture(face(1), THRESHOLD + 0.03)
    again = between(face(1), THRESHOLD + 0.02, rejected, 0.7)
    for worker in (gallery, other_worker):
        assert [one.subject_id for one in worker.identify(tenant, again, FPIR).matches] == ["alice"]
    say_not(tenant, gallery, "alice", rejected)
    for worker in (gallery, other_worker):
        assert worker.identify(tenant, again, FPIR).matches == []
        found = worker.verify(tenant, "alice", again, FMR)
        assert found is not None
        assert (found.similarity >= found.threshold, found.excluded, found.matches) == (True, True, False)
        repeated = worker.verify_again(tenant, "alice", again, found.threshold)
        assert repeated is not None
        assert not repeated.matches


def test_the_next_candidate_takes_the_place_of_the_excluded_one(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    probe = between(face(1), 0.62, face(2), 0.58)
    assert [one.subject_id for one in gallery.identify(tenant, probe, FPIR).matches] == ["alice"]
    say_not(tenant, gallery, "alice", probe)
    assert [one.subject_id for one in gallery.identify(tenant, probe, FPIR).matches] == ["bob"]


def test_the_subject_itself_still_matches(tenant: Tenant, gallery: Gallery, lookalike: Embedding) -> None:
    for to_her, to_other in ((0.7, 0.5), (THRESHOLD + 0.02, THRESHOLD + 0.02 + 0.9 * MARGIN)):
        found = gallery.verify(tenant, "alice", between(face(1), to_her, lookalike, to_other), FMR)
        assert found is not None
        assert found.matches


def test_wrong_feedback_by_a_picture_of_the_subject_does_not_lock_it_out(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    own = picture(face(1), 0.7)
    say_not(tenant, gallery, "alice", own)
    good = between(face(1), THRESHOLD + MARGIN + 0.01, own, 0.93)
    found = gallery.verify(tenant, "alice", good, FMR)
    assert found is not None
    assert found.matches, "a good picture is beyond feedback, however near to the rejected one"
    same = gallery.verify(tenant, "alice", own, FMR)
    assert same is not None
    assert same.excluded, "the very picture that was judged is excluded"


def test_it_says_nothing_of_other_subjects(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    for owner in (tenant, other_tenant):
        enrol(owner, "alice", face(1), gallery=gallery)
    probe = picture(face(1), 0.6)
    say_not(tenant, gallery, "alice", probe)
    assert gallery.identify(tenant, probe, FPIR).matches == []
    assert [one.subject_id for one in gallery.identify(other_tenant, probe, FPIR).matches] == ["alice"]


def test_two_who_were_told_apart_are_no_duplicates_from_either_side(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    twin = picture(face(1), 0.7)
    with pytest.raises(people.DuplicateFace) as refused:
        enrol(tenant, "bob", twin, gallery=gallery)
    assert refused.value.other.subject_id == "alice"
    say_not(tenant, gallery, "alice", twin)
    enrol(tenant, "bob", twin, gallery=gallery)
    assert gallery.duplicates(tenant, "bob", [twin], FPIR).candidates == []
    assert gallery.duplicates(tenant, "alice", [face(1)], FPIR).candidates == []


def test_it_is_taken_back_by_a_picture_of_the_same_face(tenant: Tenant, gallery: Gallery, lookalike: Embedding) -> None:
    alice = people.find_subject(tenant, "alice")
    say_not(tenant, gallery, "alice", face(7))

    def take_back(probe: Embedding) -> int:
        return feedback.take_back(tenant, alice, probe, gallery.model_id, gallery.protection, THRESHOLD)

    assert take_back(face(8)) == 2
    assert take_back(picture(lookalike, 0.6)) == 1
    assert take_back(face(7)) == 0


def test_the_newest_are_kept_of_too_many(tenant: Tenant, gallery: Gallery) -> None:
    people.create_subject(tenant, "alice", {})
    told = [say_not(tenant, gallery, "alice", face(seed)) for seed in range(MOST_PER_SUBJECT + 2)]
    assert told[-2:] == [MOST_PER_SUBJECT, MOST_PER_SUBJECT]
    kept = feedback.on_subjects(tenant, ["alice"], gallery.model_id, gallery.protection)
    assert float((kept.vectors @ face(0)).max()) < 0.5
    assert float((kept.vectors @ face(MOST_PER_SUBJECT + 1)).max()) > 0.99


def test_it_is_erased_with_the_subject_and_with_the_person_it_shows(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    say_not(tenant, gallery, "alice", picture(face(2), 0.7))
    say_not(tenant, gallery, "alice", face(3))
    say_not(tenant, gallery, "bob", face(4))
    people.forget_feedback(tenant, "bob", gallery, FMR)
    people.delete_subject(tenant, "bob")
    assert list(Feedback.across_tenants.values_list("subject__subject_id", flat=True)) == ["alice"]
    people.delete_subject(tenant, "alice")
    assert not Feedback.across_tenants.exists()


def test_the_pair_joins_the_impostors_of_a_calibration(tenant: Tenant, gallery: Gallery, lookalike: Embedding) -> None:
    impostors = read_impostors(tenant, gallery.model_id, gallery.protection)
    assert impostors.tolist() == pytest.approx([THRESHOLD + 0.03], abs=1e-6)
