"""Index files that are damaged, foreign, old or cannot be written are never answered from, and are made anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction

from gallery.matching import Gallery
from gallery.models import Template, TemplateChange
from gallery.people import delete_subject
from gallery.protection.reprotection import rotate
from gallery.stores import index, row_file
from gallery.stores.exact import ExactStore
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture, search, secrets_of, size
from tests.gallery.stores.indexes.files import contents, offset_of, traces
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.workers import MODEL, gallery_of

PEOPLE = 12


@pytest.fixture
def rows(tenant: Tenant, gallery: Gallery, tmp_path: Path) -> Path:
    """The row file of a gallery."""
    for number in range(PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    assert gallery.store.rebuild(tenant, lambda done, total: None)
    return tmp_path / "index" / str(tenant.pk) / MODEL / "rows"


def flip(path: Path, *places: int) -> None:
    content = bytearray(path.read_bytes())
    for place in places:
        content[place] ^= 0x40
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: os.truncate(path, 0),
    "truncated header": lambda path: os.truncate(path, 100),
    "truncated rows": lambda path: os.truncate(path, path.stat().st_size - 4_096),
    "header": lambda path: flip(path, 20),
    "both states": lambda path: flip(path, *(place + 10 for place in row_file._STATE_PLACES)),
    "another kind": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    **{
        column: lambda path, column=column: flip(path, offset_of(path, column) + 1)  # type: ignore[misc]
        for column in ("pks", "subjects", "remainders", "codes", *row_file.SIGNS, "checksums")
    },
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_file_is_made_anew_with_a_word(
    tenant: Tenant, rows: Path, tmp_path: Path, store_name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[damage](rows)
    worker = gallery_of(tmp_path, store_name)
    for number in range(PEOPLE):
        assert_finds_the_truth(worker, tenant, picture(face(number), 0.6))
    assert "the index of tenant acme is made anew" in caplog.text
    caplog.clear()
    assert_finds_the_truth(gallery_of(tmp_path, store_name), tenant, face(3))
    assert caplog.text == ""


def test_a_removed_row_that_is_back_is_noticed(tenant: Tenant, gallery: Gallery, rows: Path, tmp_path: Path) -> None:
    """As after a crash of the machine, when not all pages had reached the disk."""
    before = rows.read_bytes()
    delete_subject(tenant, "p3")
    assert size(gallery, tenant) == PEOPLE - 1
    now = bytearray(rows.read_bytes())
    now[4_096:] = before[4_096:]
    replacement = rows.with_name("restored")
    replacement.write_bytes(now)
    replacement.replace(rows)
    assert_finds_the_truth(gallery_of(tmp_path, "exact"), tenant, face(3))


def test_a_running_worker_notices_a_file_that_was_replaced(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, rows: Path
) -> None:
    enrol(other_tenant, "eve", face(3), gallery=gallery)
    assert size(gallery, other_tenant) == 1
    others = rows.parents[2] / str(other_tenant.pk) / MODEL / "rows"
    copied = rows.with_name("copy")
    shutil.copy(others, copied)
    copied.replace(rows)
    assert_finds_the_truth(gallery, tenant, face(3))


def test_an_index_of_another_database_with_the_same_revision_is_made_anew(
    tenant: Tenant, gallery: Gallery, rows: Path, tmp_path: Path
) -> None:
    """A backup was put in the place of the database, and as many changes were made since."""
    worker = gallery_of(tmp_path, "exact")
    assert size(worker, tenant) == PEOPLE
    with transaction.atomic():
        Template.across_tenants.filter(subject__subject_id="p11").delete()
        TemplateChange.objects.filter(tenant=tenant, revision__gte=PEOPLE).delete()
        Tenant.objects.filter(pk=tenant.pk).update(gallery_version=PEOPLE - 1)
        enrol(tenant, "carol", face(100), gallery=gallery)
        (revision,) = Tenant.objects.filter(pk=tenant.pk).values_list("gallery_version", flat=True)
    assert revision == PEOPLE
    for each in (worker, gallery):
        assert [one.subject_id for one in search(each, tenant, face(100), 1)] == ["carol"]
        assert_finds_the_truth(each, tenant, face(11))


def test_a_full_disk_costs_no_answer(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches are right while nothing can be written, and afterwards."""
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", no_space)
        enrol(tenant, "new", face(100), gallery=gallery)
        delete_subject(tenant, "p3")
        for each in (gallery, other_worker):
            for number in (3, 4, 100):
                assert_finds_the_truth(each, tenant, picture(face(number), 0.6))
            assert size(each, tenant) == PEOPLE
    for number in (3, 4, 100):
        assert_finds_the_truth(other_worker, tenant, picture(face(number), 0.6))


def test_a_disk_that_fills_up_in_the_middle_of_a_change_costs_no_answer(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite
    for allowed in range(30):
        left = [allowed]

        def some_space(descriptor: int, content: bytes, offset: int, left: list[int] = left) -> int:
            left[0] -= 1
            return written(descriptor, content, offset) if left[0] >= 0 else no_space()

        enrol(tenant, f"new{allowed}", face(100 + allowed), gallery=other_worker)
        delete_subject(tenant, f"p{allowed}" if allowed < PEOPLE else f"new{allowed - 2}")
        with monkeypatch.context() as filling:
            filling.setattr(os, "pwrite", some_space)
            assert_finds_the_truth(gallery, tenant, face(100 + allowed))
            assert_finds_the_truth(gallery, tenant, face(allowed))
        assert_finds_the_truth(other_worker, tenant, face(100 + allowed))


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_an_index_a_full_disk_costs_no_answer(
    tenant: Tenant, rows: Path, tmp_path: Path, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", no_space)
    worker = gallery_of(tmp_path / "elsewhere", store_name)
    assert_finds_the_truth(worker, tenant, face(3))
    assert size(worker, tenant) == PEOPLE
    assert [path.name for path in (tmp_path / "elsewhere").rglob("rows*")] == []


def test_nothing_of_an_erased_person_stays_in_a_file(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path
) -> None:
    kept = traces(rows, 3)
    delete_subject(tenant, "p3")
    other_worker.store.catch_up()
    for content in contents(rows):
        for trace in [b"p3\0", *kept]:
            assert trace not in content


def test_files_are_for_their_owner_alone(rows: Path) -> None:
    for path in rows.parents[1].rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_files_of_a_deleted_tenant_are_deleted(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path
) -> None:
    enrol(other_tenant, "eve", face(3), gallery=gallery)
    assert size(gallery, other_tenant) == 1
    tenant.delete()
    other_worker.store.catch_up()
    assert [path.name for path in rows.parents[2].iterdir()] == [str(other_tenant.pk)]


def test_what_killed_processes_left_is_deleted(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path
) -> None:
    for name in ("rows.new", "rows.renewed", "graph.renewed", "graph-of-an-older-version"):
        rows.with_name(name).write_bytes(b"of somebody erased")
    other_worker.store.catch_up()
    assert {path.name for path in rows.parent.iterdir()} == {"rows", "write.lock", "renewal.lock"}
    assert_finds_the_truth(gallery, tenant, face(3))


def test_an_index_of_an_old_epoch_answers_until_one_of_the_new_epoch_is_there(
    tenant: Tenant, gallery: Gallery, rows: Path
) -> None:
    store = gallery.store
    assert isinstance(store, ExactStore)
    before = gallery.protection.epoch(tenant)
    rotate(tenant, secrets_of(gallery), lambda *_: None)
    after = gallery.protection.epoch(tenant)
    assert_finds_the_truth(gallery, tenant, picture(face(3), 0.6))
    assert row_file.summary(rows)[0].epoch == before
    enrol(tenant, "new", face(100), gallery=gallery)
    assert_finds_the_truth(gallery, tenant, face(100))
    store.catch_up()
    store.wait_for_renewals()
    assert row_file.summary(rows)[0].epoch == after != before
    for number in (3, 100):
        assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))


def test_an_index_that_is_mostly_tombstones_or_nearly_full_is_renewed(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "LEAST_ROOM", 2)
    assert isinstance(other_worker.store, ExactStore)
    for number in range(9):
        delete_subject(tenant, f"p{number}")
    other_worker.store.catch_up()
    other_worker.store.wait_for_renewals()
    header, state = row_file.summary(rows)
    assert (state.count, state.removed, header.capacity) == (3, 0, 6)
    for number in range(20, 40):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
        assert_finds_the_truth(gallery, tenant, face(number))
    assert row_file.summary(rows)[0].capacity > 20
    for number in (5, 11, 25):
        assert_finds_the_truth(other_worker, tenant, picture(face(number), 0.6), limit=30)
