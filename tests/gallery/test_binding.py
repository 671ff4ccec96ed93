"""A gallery is compared by the embedder that made it, or refused with words; never seen as empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from gallery import binding
from gallery.binding import GalleryModel, GalleryMoved, NoGalleryFits, OtherModel
from gallery.matching import Gallery
from gallery.models import Subject
from gallery.people import delete_subject
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, search
from tests.gallery.workers import gallery_of

WORDS = (
    r"the gallery of acme was made with the embedder model-a \(512 numbers, SHA-256 [0-9a-f]{64}\), and the service "
    r"has model-b .*: run the service with the former \(FACE_EMBEDDER\), move the gallery to the new one "
    r"\(FACE_FORMER_EMBEDDER and manage\.py reembed\), or erase its people and enrol them anew"
)
each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture
def another(tmp_path: Path) -> Gallery:
    """The gallery of a service with another embedder."""
    return gallery_of(tmp_path, model="model-b")


@pytest.fixture
def bound(tenant: Tenant, gallery: Gallery) -> Tenant:
    enrol(tenant, "alice", face(1), gallery=gallery)
    return Tenant.objects.get(pk=tenant.pk)


@pytest.mark.parametrize(
    "use",
    [
        lambda gallery, tenant: gallery.identify(tenant, face(1), 1e-3),
        lambda gallery, tenant: gallery.verify(tenant, "alice", face(1), 1e-4),
        lambda gallery, tenant: gallery.verify_again(tenant, "alice", face(1), 0.5),
        lambda gallery, tenant: enrol(tenant, "bob", face(2), gallery=gallery),
    ],
)
def test_another_embedder_is_refused_with_words(
    bound: Tenant, gallery: Gallery, another: Gallery, use: Callable[[Gallery, Tenant], object]
) -> None:
    with pytest.raises(OtherModel, match=WORDS):
        use(another, bound)
    assert Subject.across_tenants.count() == 1
    use(gallery, bound)


@each_database
def test_an_enrolment_sees_the_binding_that_another_worker_made_meanwhile(
    tenant: Tenant, gallery: Gallery, another: Gallery
) -> None:
    before = Tenant.objects.get(pk=tenant.pk)
    enrol(tenant, "alice", face(1), gallery=gallery)
    with pytest.raises(OtherModel, match=WORDS):
        enrol(before, "bob", face(2), gallery=another)


def test_an_empty_gallery_takes_the_embedder_of_the_next_enrolment(
    bound: Tenant, gallery: Gallery, another: Gallery
) -> None:
    delete_subject(bound, "alice")
    assert another.identify(bound, face(1), 1e-3).candidates == []
    enrol(bound, "bob", face(2), gallery=another)
    assert [one.subject_id for one in search(another, bound, face(2), 1)] == ["bob"]
    with pytest.raises(OtherModel):
        gallery.identify(Tenant.objects.get(pk=bound.pk), face(1), 1e-3)


@each_database
def test_a_start_is_refused_when_no_gallery_fits(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, another: Gallery
) -> None:
    assert another.prepare() == []
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert gallery.prepare() == []
    with pytest.raises(NoGalleryFits, match=WORDS):
        another.prepare()
    enrol(other_tenant, "eve", face(2), gallery=another)
    (fault,) = another.prepare()
    assert fault.startswith("the gallery of acme")


@pytest.mark.parametrize(
    "use",
    [
        lambda gallery, tenant: gallery.identify(tenant, face(1), 1e-3),
        lambda gallery, tenant: gallery.verify(tenant, "alice", face(1), 1e-4),
        lambda gallery, tenant: gallery.verify(tenant, "nobody", face(1), 1e-4),
        lambda gallery, tenant: gallery.verify_again(tenant, "alice", face(1), 0.5),
    ],
)
@each_database
def test_a_comparison_that_a_move_overtook_is_to_be_tried_again(
    tenant: Tenant, gallery: Gallery, another: Gallery, use: Callable[[Gallery, Tenant], object]
) -> None:
    """As in a session, whose tenant's row was read when it was connected: the templates of its embedder are gone."""
    enrol(tenant, "alice", face(1), gallery=gallery)
    connected = Tenant.objects.get(pk=tenant.pk)
    delete_subject(tenant, "alice")
    enrol(Tenant.objects.get(pk=tenant.pk), "alice", face(1), gallery=another)
    with pytest.raises(GalleryMoved, match="the gallery is of another embedder now: try again"):
        use(gallery, connected)
    use(another, Tenant.objects.get(pk=tenant.pk))


@each_database
def test_each_gallery_is_served_with_its_own_embedder(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, another: Gallery
) -> None:
    models = [another.model, gallery.model]
    assert binding.chosen(tenant, models) == another.model, "without templates by the one in use"
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(1), gallery=another)
    assert binding.chosen(tenant, models) == gallery.model, "read anew, whatever the row in hand says"
    assert binding.chosen(other_tenant, models) == another.model
    assert another.prepare(gallery) == []
    delete_subject(tenant, "alice")
    assert binding.chosen(tenant, models) == another.model, "nobody is left whom the former could compare"


def test_what_an_older_version_noted_of_the_model_is_completed(bound: Tenant, gallery: Gallery) -> None:
    known = asdict(GalleryModel(gallery.model_id, gallery.model_id, 512))
    Tenant.objects.update(gallery_model=known)
    enrol(bound, "alice", face(1), gallery=gallery)
    assert Tenant.objects.get().gallery_model == {**known, "digest": gallery.profile.sha256}
