"""An unusable database or disk: the answer of every endpoint, and the fate of sessions meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import OperationalError, ProgrammingError, connection, connections

from core.liveness.policy import Policy
from core.types import RgbImage
from database import outages
from database.calls import with_connection
from database.connections import close_moved_files
from database.outages import OutageWatch, outage_of, retry_unavailable
from monitoring.readiness import Report, SharedCheck
from recognition.api.errors import as_service_error, error_response
from recognition.models import Decision, FailedAttempts
from recognition.retention import rounds
from recognition.sessions import lifecycle
from recognition.sessions.lease import Lease
from recognition.worker import Worker
from testkit.clips import encode_jpeg
from tests.recognition.support import (
    Backend,
    Faces,
    asked,
    became,
    connect,
    count,
    token,
    until_complete,
)
from vocabulary.sessions import Reason
from wire.errors import Unavailable

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="the tests run on another database")
Broken = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def fresh_watch(monkeypatch: pytest.MonkeyPatch) -> OutageWatch:
    """An outage watch that knows no outage of other tests."""
    fresh = OutageWatch()
    monkeypatch.setattr(outages, "watch", fresh)
    return fresh


@pytest.fixture(params=["locked", "read-only", "full", "missing"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Broken:
    """Break the database until the block ends. No thread has it open: in tests each call makes a new connection."""

    @contextlib.contextmanager
    def until_mended() -> Iterator[None]:
        settings: dict[str, Any] = connection.settings_dict
        options: dict[str, Any] = settings["OPTIONS"]
        with monkeypatch.context() as patch, contextlib.ExitStack() as undo:
            match request.param:
                case "locked":
                    patch.setitem(options, "timeout", 0.05)
                    other = sqlite3.connect(settings["NAME"], isolation_level=None)
                    undo.callback(other.close)
                    other.execute("BEGIN EXCLUSIVE")
                case "read-only":
                    patch.setitem(options, "mode", "ro")
                case "full":
                    patch.setitem(options, "init_command", options["init_command"] + "PRAGMA max_page_count=1;")
                    _use_up_free_pages(settings["NAME"])
                case "missing":
                    patch.setitem(options, "mode", "rw")
                    patch.setitem(settings, "NAME", str(tmp_path / "gone.sqlite3"))
            yield

    return until_mended


def _use_up_free_pages(name: str) -> None:
    """Remove free pages, into which a full database could still write."""
    with contextlib.closing(sqlite3.connect(name)) as database:
        database.execute("VACUUM")


def is_told(response: httpx.Response) -> bool:
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (503, "unavailable")
    assert error["details"]["retry_after_ms"] > 0
    assert int(response.headers["retry-after"]) * 1000 >= error["details"]["retry_after_ms"]
    assert response.headers["x-request-id"] == response.json()["request_id"]
    return True


@on_sqlite
async def test_rest_says_unavailable_and_works_again(
    broken: Broken, api: httpx.AsyncClient, faces: Faces, caplog: pytest.LogCaptureFixture
) -> None:
    new = {"kind": "enrollment", "subject_id": "alice", "metadata": {"note": "x" * 8_000}}
    with broken():
        assert is_told(await api.post("/api/v1/sessions/", json=new))
        assert is_told(await api.post("/api/v1/subjects/", json={"subject_id": "bob", "metadata": new["metadata"]}))
        files = [("images", ("a.jpg", faces.astronaut, "image/jpeg"))] * 10  # More than one database page holds.
        assert is_told(await api.post("/api/v1/subjects/carol/templates/", files=files))
        assert (await api.get("/api/health/")).status_code == 200
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(logged) == 1, "the log is told once and not with every answer"
    assert (await api.post("/api/v1/sessions/", json=new)).status_code == 201
    assert (await api.get("/api/v1/subjects/")).json()["items"] == [], "what failed has left nothing"


@on_sqlite
async def test_a_key_that_cannot_be_looked_up_is_not_called_wrong(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "mode", "rw")
        patch.setitem(connection.settings_dict, "NAME", str(tmp_path / "gone.sqlite3"))
        assert is_told(await api.post("/api/v1/auth/token/"))
        assert is_told(await api.get("/api/v1/subjects/"))
        ready = await api.get("/api/ready/")
    assert ready.status_code == 503
    assert ready.json()["components"]["database"] == "unavailable"
    assert not (tmp_path / "gone.sqlite3").exists(), "nobody wants an empty database in its place"


@on_sqlite
async def test_a_session_goes_on_when_the_database_is_back(
    broken: Broken, backend: Backend, worker: Worker, astronaut_rgb: RgbImage
) -> None:
    pictures = different_pictures(astronaut_rgb)
    secret = await token(worker, backend, asked("enrollment", "alice", target_samples=4))
    async with connect(secret) as socket:
        await socket.greeted()
        assert (await socket.ask(next(pictures)))["samples"]["accepted"] == 1
        with broken():
            answer = await socket.ask(next(pictures))
            while answer["type"] == "frame_processed":  # The session had nothing to write yet, or still found room.
                answer = await socket.ask(next(pictures))
            assert (answer["code"], answer["retryable"]) == ("unavailable", True)
            assert answer["retry_after_ms"] > 0
            assert await socket.closed() == 1013
            async with connect(secret) as early:
                assert await early.refused() == ("unavailable", 1013)
    async with connect(secret) as again:
        assert (await again.greeted())["resumed"]
        result = await again.ask(next(pictures))
        while result["type"] == "frame_processed":
            result = await again.ask(next(pictures))
    assert result["success"], result
    assert await count(worker, Decision) == 1
    assert await count(worker, FailedAttempts) == 0


def different_pictures(rgb: RgbImage) -> Iterator[bytes]:
    """Pictures of one face that differ in a column of pixels."""
    for column in range(rgb.shape[1]):
        changed = rgb.copy()
        changed[:8, column] = 0
        yield encode_jpeg(changed)


def fails_afterwards(real: Callable[..., Any], times: int) -> Callable[..., Any]:
    """Executes each of the first calls, then loses the connection before the result arrives."""
    left = times

    def call(*args: Any) -> Any:
        nonlocal left
        result = real(*args)
        if left:
            left -= 1
            raise OperationalError("the server closed the connection unexpectedly")
        return result

    return call


async def test_a_decision_whose_answer_was_lost_is_told_and_made_once(
    backend: Backend, worker: Worker, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "decide", fails_afterwards(lifecycle.decide, 2))
    secret = await token(worker, backend, asked("enrollment", "alice", target_samples=1))
    async with connect(secret) as socket:
        await socket.greeted()
        _, result = await until_complete(socket, faces.astronaut)
        assert await socket.closed() == 1000
    assert result["success"]
    assert await count(worker, Decision) == 1
    decision = await worker.database.run(Decision.across_tenants.get)
    assert result["decision_token"] == decision.token


@pytest.mark.parametrize("step", ["check", "save"])
async def test_a_short_outage_is_not_noticed(
    step: str, backend: Backend, worker: Worker, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await token(worker, backend, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await socket.greeted()
        monkeypatch.setattr(Lease, step, fails_afterwards(getattr(Lease, step), 3))
        answers, result = await until_complete(socket, faces.astronaut)
    assert result["success"]
    assert {answer["type"] for answer in answers} == {"frame_processed"}
    assert [answer["seq"] for answer in answers] == list(range(1, len(answers) + 1)), "each frame has its answer"


async def test_time_that_ran_out_in_an_outage_is_nobodys_failure(
    backend: Backend, worker: Worker, fresh_watch: OutageWatch
) -> None:
    def run_out_of_time(device_id: str, meanwhile: Callable[[], None]) -> int:
        """An identification, which counts for its device, that learns its challenge and then does nothing; how many
        failures are counted."""
        request = asked("identification", liveness=Policy.ACTIVE, device_id=device_id)
        held = lifecycle.connect(
            worker.deciding, lifecycle.create(worker.deciding, backend.tenant, request, None).session
        )
        meanwhile()
        decision = lifecycle.decide(worker.deciding, held, held.flow.time_is_up())
        assert decision.reason in (Reason.TIMEOUT, Reason.LIVENESS_TIMEOUT)
        return FailedAttempts.across_tenants.filter(key=device_id).count()

    def outage() -> None:
        fresh_watch.note(OperationalError("gone"))

    assert await worker.database.run(run_out_of_time, "untroubled", lambda: None) == 1
    assert await worker.database.run(run_out_of_time, "troubled", outage) == 0


async def test_who_finds_every_database_thread_held_is_told_in_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.calls.THREAD_TIMEOUT_S", 0.2)
    release, arrived, ran = threading.Event(), threading.Semaphore(0), threading.Event()

    def hang() -> None:
        arrived.release()
        assert release.wait(60)

    hanging = [asyncio.create_task(worker.database.run(hang)) for _ in range(worker.settings.db_pool_size)]
    try:
        for _ in range(worker.settings.db_pool_size):
            await asyncio.to_thread(arrived.acquire)
        with pytest.raises(Unavailable) as caught:
            await worker.database.run(ran.set)
        assert caught.value.retry_after_ms
        cancelled = asyncio.create_task(worker.database.run(ran.set))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    finally:
        release.set()
        await asyncio.gather(*hanging)
    await worker.database.run(lambda: None)
    assert not ran.is_set(), "what was given up is not done later"


async def test_periodic_work_outlives_an_outage_and_does_not_flood_the_log(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed_rounds = 0

    def fail(_: Worker) -> None:
        nonlocal failed_rounds
        failed_rounds += 1
        raise OperationalError("could not connect to the server at 10.0.0.7")

    monkeypatch.setattr(rounds, "TASKS_EVERY_S", 0.01)
    monkeypatch.setattr(rounds, "PERIODIC_TASKS", (("failing", fail),))
    periodic_work = asyncio.create_task(rounds.run_periodic_work(worker))
    await became(lambda: failed_rounds > 20, "twenty rounds")
    assert not periodic_work.done()
    periodic_work.cancel()
    await asyncio.gather(periodic_work, return_exceptions=True)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "could not connect" in told[0].getMessage(), "the operator is told what is wrong"


@pytest.mark.parametrize("number", sorted(outages.DISK_ERRORS))
def test_a_disk_that_cannot_be_used_is_no_defect_of_ours(number: int) -> None:
    response = error_response(as_service_error(OSError(number, "on /srv/secret/place")))
    assert response.status_code == 503
    assert b"secret" not in response.content
    assert as_service_error(OSError(errno.ENOENT, "no such file")).status == 500


@on_sqlite
@pytest.mark.usefixtures("transactional_db")
def test_a_moved_file_is_let_go_of_by_who_waits_for_work_and_not_under_who_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, release, arrived = tmp_path / "face.sqlite3", threading.Event(), threading.Event()

    def use(wait: bool) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if wait:
            arrived.set()
            assert release.wait(60)
        return connections["default"]

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        patch.setitem(connection.settings_dict, "NAME", str(path))
        patch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
        idle = one.submit(with_connection, use, False).result()
        working = other.submit(with_connection, use, True)
        assert arrived.wait(60)
        path.rename(path.with_name("away"))
        close_moved_files()
        assert idle.connection is None
        release.set()
        assert working.result().connection is not None
        close_moved_files()
        assert working.result().connection is None


class FullDisk:
    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def write(self, data: bytes, start: int = 0) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


async def test_a_body_that_finds_no_room_on_the_disk_is_told(
    api: httpx.AsyncClient, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"image": ("a.jpg", faces.astronaut, "image/jpeg")}
    with monkeypatch.context() as patch:
        patch.setattr("django.core.handlers.asgi.tempfile.SpooledTemporaryFile", FullDisk)
        assert is_told(await api.post("/api/v1/faces/detect/", files=files))
    with monkeypatch.context() as patch:
        patch.setattr("django.core.files.uploadhandler.MemoryFileUploadHandler.receive_data_chunk", FullDisk().write)
        assert is_told(await api.post("/api/v1/faces/detect/", files=files))
        assert is_told(await api.post("/api/v1/faces/verify/", files=files, data={"subject_id": "alice"}))
    assert (await api.post("/api/v1/faces/detect/", files=files)).status_code == 200


def test_a_wrong_statement_is_a_defect_and_stays_one() -> None:
    assert outage_of(ProgrammingError("no such column")) is None
    with pytest.raises(ProgrammingError):
        with_connection(_raise, ProgrammingError("no such column"))


def _raise(error: Exception) -> None:
    raise error


async def test_what_is_tried_again_ends_with_the_outage_or_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def fails() -> None:
        nonlocal tries
        tries += 1
        raise Unavailable("not now", 5)

    monkeypatch.setattr(outages, "OUTAGE_RETRY_S", 0.05)
    monkeypatch.setattr(outages, "RETRY_INTERVAL_S", 0.01)
    with pytest.raises(Unavailable):
        await retry_unavailable(fails)
    assert tries > 1


async def test_readiness_is_checked_once_for_all_who_ask_at_once() -> None:
    probe: Any = {"type": "http"}
    checks = 0
    finish = asyncio.Event()

    async def check(_: object, report: Report) -> None:
        nonlocal checks
        checks += 1
        await finish.wait()
        report["database"] = "ok"

    shared = SharedCheck(check)
    asking = [asyncio.create_task(shared(probe)) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    finish.set()
    assert await asyncio.gather(*asking[1:]) == [{"database": "ok"}] * 19
    assert checks == 1
    await shared(probe)
    assert checks == 2
