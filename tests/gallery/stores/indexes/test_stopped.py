"""A process that is stopped in the middle of a change, and files that change under a running one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from database.calls import with_connection
from gallery.matching import Gallery
from gallery.people import delete_subject
from gallery.stores import index, ranking, row_file
from gallery.stores.exact import ExactStore
from gallery.stores.index import Index
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from tests.gallery.faces import enrol, face, picture, size
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.workers import MODEL, gallery_of

PEOPLE = 12
A_WHILE_S = 0.2


@pytest.fixture
def crowd(tenant: Tenant, gallery: Gallery) -> None:
    for number in range(PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    assert gallery.store.rebuild(tenant, lambda done, total: None)


def search_and_stop(worker: Gallery, tenant: Tenant, at_write: int) -> None:
    """Bring the index up to date, and stop before one of its writes."""
    write, left = os.pwrite, [at_write]

    def stopping(descriptor: int, content: Any, offset: int) -> int:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return write(descriptor, content, offset)

    os.pwrite = stopping
    size(worker, tenant)


@contextmanager
def stopped(worker: Gallery, tenant: Tenant, at_write: int) -> Iterator[None]:
    """Another process that is stopped in the middle of a change, and goes on at the end."""
    connection.close()
    process = multiprocessing.get_context("fork").Process(
        target=with_connection, args=(search_and_stop, worker, tenant, at_write), daemon=True
    )
    process.start()
    assert process.pid is not None
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it made fewer writes"
        yield
        os.kill(process.pid, signal.SIGCONT)
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    finally:
        process.kill()


@pytest.mark.usefixtures("crowd")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("at_write", range(1, 31, 5))
def test_a_worker_that_is_stopped_in_a_change_holds_up_nobody_and_spoils_nothing(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str, at_write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "CHANGE_WAIT_S", 0.0)
    victim = gallery_of(tmp_path, store_name)
    enrol(tenant, "new", face(100), gallery=gallery_of(tmp_path / "elsewhere", store_name))
    delete_subject(tenant, "p3")
    with stopped(victim, tenant, at_write):
        for number in (3, 4, 100):
            assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))
        delete_subject(tenant, "new")
        enrol(tenant, "p3", face(3), gallery=gallery)
        for number in (3, 100):
            assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))
        gallery.store.catch_up()
    for worker in (gallery, gallery_of(tmp_path, store_name)):
        for number in (3, 4, 100):
            assert_finds_the_truth(worker, tenant, picture(face(number), 0.6))


def test_who_waits_for_a_lock_that_was_replaced_waits_for_the_one_in_its_place(tmp_path: Path) -> None:
    """The files of an index can be deleted at any time, and made anew by another process."""
    first, second = (Index(tmp_path / "an index") for _ in range(2))
    another = Index(tmp_path / "made anew")
    entered = threading.Event()

    with ThreadPoolExecutor(1) as threads:
        with first._locked("write.lock"), another._locked("write.lock"):
            waiting = threads.submit(enter, second, entered)
            wait([waiting], A_WHILE_S)
            (another.directory / "write.lock").replace(second.directory / "write.lock")
            wait([waiting], A_WHILE_S)
            assert not entered.is_set(), "two change one file"
        waiting.result(PATIENCE_S)


def test_who_waits_for_a_lock_whose_directory_was_deleted_gets_one_of_its_own(tmp_path: Path) -> None:
    first, second = (Index(tmp_path / "an index") for _ in range(2))
    entered = threading.Event()
    with ThreadPoolExecutor(1) as threads, first._locked("write.lock"):
        waiting = threads.submit(enter, second, entered)
        wait([waiting], A_WHILE_S)
        shutil.rmtree(first.directory)
        waiting.result(PATIENCE_S)
    assert entered.is_set()


def test_a_directory_that_is_deleted_between_two_steps_of_locking_costs_one_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, left = os.open, [2]

    def deleting(path: Any, *how: Any, **more: Any) -> int:
        if left[0] and str(path).endswith("write.lock"):
            left[0] -= 1
            shutil.rmtree(Path(path).parent)
        return opened(path, *how, **more)

    monkeypatch.setattr(os, "open", deleting)
    entered = threading.Event()
    enter(Index(tmp_path / "an index"), entered)
    assert entered.is_set()


def enter(index: Index, entered: threading.Event) -> None:
    with index._locked("write.lock"):
        entered.set()


@pytest.mark.usefixtures("crowd")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_file_that_is_cut_off_under_a_running_worker_costs_no_process(
    tenant: Tenant, tmp_path: Path, store_name: str
) -> None:
    """Reading what is mapped beyond the end of a file kills whoever does it."""
    worker = gallery_of(tmp_path, store_name)
    assert_finds_the_truth(worker, tenant, face(3), limit=1)

    def look() -> None:
        os.truncate(tmp_path / "index" / str(tenant.pk) / MODEL / "rows", 0)
        worker.store.statistics()
        for number in range(PEOPLE):
            assert_finds_the_truth(worker, tenant, picture(face(number), 0.6), limit=1)

    assert_survives(look)


def assert_survives(work: Callable[[], None]) -> None:
    """A process that does the work ends by itself and without an error."""
    connection.close()
    process = multiprocessing.get_context("fork").Process(target=with_connection, args=(work,), daemon=True)
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0


@pytest.mark.usefixtures("crowd")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_file_that_is_cut_off_while_it_is_checked_costs_no_process(
    tenant: Tenant, tmp_path: Path, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check reads some rows at a time, and after the first ones there are no others."""
    checksums, rows = row_file._checksums, tmp_path / "index" / str(tenant.pk) / MODEL / "rows"
    cut_off = iter([rows])

    def cut_off_and_add_up(*columns: Any) -> Any:
        for path in cut_off:
            os.truncate(path, 0)
        return checksums(*columns)

    def look() -> None:
        monkeypatch.setattr(row_file, "VERIFIED_AT_ONCE", 4)
        monkeypatch.setattr(row_file, "_checksums", cut_off_and_add_up)
        for number in range(PEOPLE):
            assert_finds_the_truth(gallery_of(tmp_path, store_name), tenant, picture(face(number), 0.6), limit=1)

    assert_survives(look)


@pytest.mark.usefixtures("crowd")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_file_that_is_cut_off_during_a_search_costs_no_answer(
    tenant: Tenant, tmp_path: Path, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the codes were compared, before the rows that are most alike are read."""
    highest, rows = ranking._highest, tmp_path / "index" / str(tenant.pk) / MODEL / "rows"
    cut_off = iter([rows])

    def cut_off_and_choose(*arguments: Any) -> Any:
        for path in cut_off:
            os.truncate(path, 0)
        return highest(*arguments)

    def look() -> None:
        monkeypatch.setattr(ranking, "_highest", cut_off_and_choose)
        for number in range(PEOPLE):
            assert_finds_the_truth(gallery_of(tmp_path, store_name), tenant, picture(face(number), 0.6), limit=1)

    assert_survives(look)


@pytest.mark.usefixtures("crowd")
def test_the_whole_index_may_be_deleted_at_any_time(tenant: Tenant, gallery: Gallery, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "index")
    delete_subject(tenant, "p3")
    for number in (3, 4):
        assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))
    shutil.rmtree(tmp_path / "index")
    gallery.store.catch_up()
    assert isinstance(gallery.store, ExactStore)
    assert gallery.store.rebuild(tenant, lambda done, total: None)
    assert_finds_the_truth(gallery, tenant, face(4))
