"""A database that goes away while the service runs, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql
from testkit.service import LiveService, running_service
from testkit.stream_client import Message, play
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, jpegs, run_to_the_end

pytestmark = needs_shared_data

PATIENT = {"FACE_RECOGNITION_TIME_LIMIT_S": "300", "FACE_ENROLLMENT_TIME_LIMIT_S": "300"}
"""Sessions that outlast an outage on the slowest machine."""
MANY = 24
"""Requests at once: more than two workers have database threads."""


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def on_postgresql(database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory = tmp_path_factory.mktemp("postgresql")
    environment = {"DATABASE_URL": database.url, **PATIENT}
    with running_service(directory, workers=2, pool_size=2, environment=environment) as service:
        yield service


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    with running_service(tmp_path_factory.mktemp("sqlite"), workers=2, pool_size=2, environment=PATIENT) as service:
        yield service


async def test_a_session_outlives_its_postgresql(on_postgresql: LiveService, database: PostgreSQL) -> None:
    service = on_postgresql
    await enrol(service)
    frames = jpegs(clip("id2_vcd_swwp2s"))
    async with service.client() as client:
        created = await client.create_session("authentication", "pwij3p")
        async with connect(created.websocket_url, compression=None) as socket:
            await socket.recv()
            for frame in frames[:3]:
                await socket.send(frame)
                assert json.loads(await socket.recv())["type"] == "frame_processed"
            await asyncio.to_thread(database.stop)
            try:
                assert await ended(socket, frames[3]) == ("unavailable", 1013)
                await asyncio.to_thread(everybody_is_told, service)
                async with connect(created.websocket_url, compression=None) as early:
                    assert await ended(early) == ("unavailable", 1013)
            finally:
                await asyncio.to_thread(database.start)
        await asyncio.to_thread(becomes_ready, service)
        resumed = await play(created.websocket_url, frames[3:])
        session = await client.session(created.id)
    assert resumed.messages[0]["resumed"] is True
    assert resumed.completed is not None, resumed.messages[-1]
    assert resumed.completed["success"], resumed.completed
    assert resumed.completed["decision_token"] == session["decision_token"]
    assert session["status"] == "succeeded"


async def test_the_client_rides_an_outage_out(on_postgresql: LiveService, database: PostgreSQL) -> None:
    """With nothing but `play`: it connects again by itself."""
    service, told = on_postgresql, asyncio.Event()
    await enrol(service)

    def listen(message: Message) -> None:
        if message["type"] == "error":
            told.set()

    async with service.client() as client:
        created = await client.create_session("authentication", "pwij3p")
    await asyncio.to_thread(database.stop)
    playing = asyncio.create_task(
        play(created.websocket_url, jpegs(clip("id2_vcd_swwp2s")), on_message=listen, timeout_s=120)
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            await told.wait()
    finally:
        await asyncio.to_thread(database.start)
    result = await playing
    assert result.completed is not None, result.messages[-1]
    assert result.completed["success"], result.completed


async def test_a_postgresql_that_does_not_answer_holds_nobody_for_ever(
    on_postgresql: LiveService, database: PostgreSQL
) -> None:
    with database.standing_still():
        await asyncio.to_thread(everybody_is_told, on_postgresql)
    await asyncio.to_thread(becomes_ready, on_postgresql)
    await asyncio.to_thread(everybody_is_served, on_postgresql)


async def test_a_session_outlives_a_lock_that_is_held_too_long(on_sqlite: LiveService) -> None:
    service, frames = on_sqlite, jpegs(clip("pwij3p"))
    async with service.client() as client:
        created = await client.create_session("enrollment", "locked-out", "none")
        async with connect(created.websocket_url, compression=None) as socket:
            await socket.recv()
            with locked(service):
                assert await ended(socket, *frames) == ("unavailable", 1013)
                await asyncio.to_thread(everybody_is_told, service, reading_too=False)
        await asyncio.to_thread(becomes_ready, service)
        resumed = await play(created.websocket_url, frames)
        session = await client.session(created.id)
    assert resumed.messages[0]["resumed"] is True
    assert resumed.completed is not None, resumed.messages[-1]
    assert session["status"] == "succeeded"


def test_a_database_that_was_moved_away_is_missed(on_sqlite: LiveService) -> None:
    service, path = on_sqlite, on_sqlite.data_dir / "face.sqlite3"
    add_subject(service, "before")
    away = path.rename(path.with_name("away.sqlite3"))
    everybody_is_told(service)
    assert not path.exists(), "an empty database was made in its place"
    assert "before" in subjects_in(away)
    away.rename(path)
    becomes_ready(service)
    everybody_is_served(service)
    assert "before" in subjects_in(path)


def test_a_database_that_was_replaced_is_served(on_sqlite: LiveService) -> None:
    service, path = on_sqlite, on_sqlite.data_dir / "face.sqlite3"
    add_subject(service, "kept")
    backup = path.with_name("backup.sqlite3")
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_S)) as database:
        database.execute("VACUUM INTO ?", [str(backup)])
    add_subject(service, "later")
    backup.rename(path)
    became(lambda: {subject(service, "later") for _ in range(20)} == {404}, "the backup is served by every worker")
    assert subject(service, "kept") == 200
    everybody_is_served(service)
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_S)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def enrol(service: LiveService) -> None:
    done = await run_to_the_end(service, "enrollment", jpegs(clip("pwij3p")), "pwij3p")
    assert done["success"], done["reason"]


async def ended(socket: ClientConnection, *frames: bytes) -> tuple[str, int]:
    """The code of the error that comes after these frames at the latest, and the close code after it."""
    for frame in frames:
        await socket.send(frame)
        message = await _message(socket)
        if message["type"] == "error":
            break
    else:
        message = await _message(socket)
    assert message["retryable"], message
    assert message["retry_after_ms"] > 0
    with pytest.raises(ConnectionClosed) as closed:
        await _message(socket)
    assert closed.value.rcvd is not None
    return message["code"], closed.value.rcvd.code


async def _message(socket: ClientConnection) -> Message:
    message: Message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S))
    return message


def everybody_is_told(service: LiveService, *, reading_too: bool = True) -> None:
    """Of many requests at once each is answered, and in time; health is none the worse."""
    with ThreadPoolExecutor(MANY) as threads:
        writing = [threads.submit(_new_session, service) for _ in range(MANY)]
        assert loopback.get(f"{service.base_url}/api/health/", timeout=PATIENCE_S).status_code == 200
        ready = loopback.get(f"{service.base_url}/api/ready/", timeout=PATIENCE_S)
    assert (ready.status_code, ready.json()["components"]["database"]) == (503, "unavailable")
    answers = [request.result() for request in writing]
    if reading_too:
        answers.append(service_get(service, "/api/v1/subjects/"))
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "unavailable"), error
        assert error["details"]["retry_after_ms"] > 0
        assert int(answer.headers["retry-after"]) > 0


def everybody_is_served(service: LiveService) -> None:
    with ThreadPoolExecutor(MANY) as threads:
        answers = list(threads.map(_new_session, [service] * MANY))
    assert {answer.status_code for answer in answers} == {201}


def _new_session(service: LiveService) -> httpx.Response:
    return loopback.post(
        f"{service.base_url}/api/v1/sessions/",
        json={"kind": "identification"},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=PATIENCE_S,
    )


def service_get(service: LiveService, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    return loopback.get(service.base_url + path, headers=headers, timeout=PATIENCE_S)


def subject(service: LiveService, subject_id: str) -> int:
    return service_get(service, f"/api/v1/subjects/{subject_id}/").status_code


def add_subject(service: LiveService, subject_id: str) -> None:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    url = f"{service.base_url}/api/v1/subjects/"
    assert loopback.post(url, json={"subject_id": subject_id}, headers=headers, timeout=PATIENCE_S).status_code == 201


def subjects_in(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as database:
        return {row[0] for row in database.execute("SELECT subject_id FROM gallery_subject")}


@contextlib.contextmanager
def locked(service: LiveService) -> Iterator[None]:
    with contextlib.closing(
        sqlite3.connect(service.data_dir / "face.sqlite3", isolation_level=None, timeout=PATIENCE_S)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def becomes_ready(service: LiveService) -> None:
    """Every worker: each of them is asked some of the time."""
    became(
        lambda: all(service_get(service, "/api/ready/").status_code == 200 for _ in range(20)), "every worker is ready"
    )


def became(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.2)
