"""A database that was restored, or an index that was: what is of another history is never answered from."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

import database.clock
from gallery import changes
from gallery.matching import Gallery
from gallery.models import Subject, Template
from gallery.people import delete_subject
from gallery.protection import reprotection
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture, search, secrets_of
from tests.gallery.stores.indexes.backups import Backup
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.workers import MODEL, gallery_of

PEOPLE = 6


@pytest.fixture
def crowd(tenant: Tenant, gallery: Gallery) -> None:
    for number in range(PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)


def everybody_is_found(gallery: Gallery, tenant: Tenant) -> None:
    for number in range(2 * PEOPLE):
        assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))


def days_pass() -> None:
    """Retention deletes what is overdue of the log."""
    changes.old(database.clock.now() + timedelta(days=3)).delete()


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("later", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("quiet", ["not quiet", "quiet before the backup", "quiet before and since"])
def test_an_older_database_is_noticed_before_and_after_it_has_reached_the_revision_of_the_index(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str, later: int, quiet: str
) -> None:
    if quiet != "not quiet":
        days_pass()
    backup = Backup(tenant)
    for number in (PEOPLE, PEOPLE + 1):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    if quiet != "not quiet":
        days_pass()
    assert gallery.store.rebuild(tenant, lambda done, total: None)
    backup.restore()
    elsewhere = gallery_of(tmp_path / "another machine", store_name)
    for number in range(later):
        enrol(tenant, f"q{number}", face(PEOPLE + 1 + number), gallery=elsewhere)
    if quiet == "quiet before and since":
        days_pass()
    everybody_is_found(gallery, tenant)
    everybody_is_found(gallery_of(tmp_path, store_name), tenant)


@pytest.mark.usefixtures("crowd")
def test_housekeeping_keeps_nobody_of_another_history(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str
) -> None:
    """Also where nobody searches: who is in the file only was never enrolled in this database, or was erased."""
    backup = Backup(tenant)
    enrol(tenant, "of-another-history", face(PEOPLE), gallery=gallery)
    gallery.store.refresh(tenant)
    rows = tmp_path / "index" / str(tenant.pk) / MODEL / "rows"
    assert b"of-another-history" in rows.read_bytes()
    backup.restore()
    enrol(tenant, "new", face(PEOPLE + 1), gallery=gallery_of(tmp_path / "another machine", store_name))
    gallery.store.catch_up()
    assert b"of-another-history" not in rows.read_bytes()


@pytest.mark.usefixtures("crowd")
def test_a_secret_that_took_the_epoch_of_a_lost_one_is_told_from_it(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str
) -> None:
    """The secret is rotated, the database restored, and the secret rotated again before anybody searches."""
    backup = Backup(tenant)
    reprotection.rotate(tenant, secrets_of(gallery), lambda *_: None)
    assert gallery.store.rebuild(tenant, lambda done, total: None)
    everybody_is_found(gallery, tenant)
    backup.restore()
    reprotection.rotate(tenant, secrets_of(gallery), lambda *_: None)
    for worker in (gallery, gallery_of(tmp_path, store_name)):
        assert [one.subject_id for one in search(worker, tenant, face(3), 1)] == ["p3"]
        everybody_is_found(worker, tenant)


@pytest.mark.usefixtures("crowd")
def test_an_older_index_follows_the_database(tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str) -> None:
    index, kept = tmp_path / "index", tmp_path / "backup"
    shutil.copytree(index, kept)
    delete_subject(tenant, "p3")
    enrol(tenant, "new", face(PEOPLE), gallery=gallery)
    everybody_is_found(gallery, tenant)
    days_pass()
    for replace in (put_in_place, write_over):
        replace(kept / str(tenant.pk) / MODEL / "rows", index / str(tenant.pk) / MODEL / "rows")
        everybody_is_found(gallery, tenant)
        everybody_is_found(gallery_of(tmp_path, store_name), tenant)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("other", ["tenant", "model"])
def test_a_file_of_another_gallery_that_was_written_over_the_index_is_noticed(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str, other: str
) -> None:
    """In place, so that its inode and its size stay the same."""
    if other == "model":
        path = tmp_path / "index" / str(tenant.pk) / "model-b" / "rows"
        theirs = gallery_of(tmp_path, store_name, "model-b")
        templates_of_the_same_people(theirs, tenant)
        theirs.store.refresh(tenant)
    else:
        path = tmp_path / "index" / str(other_tenant.pk) / MODEL / "rows"
        for number in range(PEOPLE):
            enrol(other_tenant, f"stranger{number}", face(100 + number), gallery=gallery)
    for each in (tenant, other_tenant):
        gallery.store.rebuild(each, lambda done, total: None)
    everybody_is_found(gallery, tenant)
    write_over(path, tmp_path / "index" / str(tenant.pk) / MODEL / "rows")
    everybody_is_found(gallery, tenant)


def templates_of_the_same_people(gallery: Gallery, tenant: Tenant) -> None:
    """As many templates of another model, as in a gallery that moves to it."""
    made = Template.objects.bulk_create(
        Template(
            tenant=tenant,
            subject=subject,
            model_id=gallery.model_id,
            vector=gallery.protection.protect([face(50 + number)], tenant)[0],
            quality=1.0,
        )
        for number, subject in enumerate(Subject.objects.filter(tenant=tenant))
    )
    changes.log(tenant.pk, [template.pk for template in made], added=True)


def put_in_place(source: Path, target: Path) -> None:
    copied = target.with_name("copied")
    shutil.copy(source, copied)
    copied.replace(target)


def write_over(source: Path, target: Path) -> None:
    """As `rsync --inplace` does, without a moment in which the file is shorter."""
    with target.open("r+b") as file:
        file.write(source.read_bytes())
        file.truncate()
