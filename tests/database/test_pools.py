"""The limit of a process's connections to PostgreSQL, and of its pool of Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
import redis
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from config.service import service_settings
from database.calls import with_connection
from database.postgresql import base
from database.postgresql.base import DatabaseWrapper
from jobs.broker import state
from testkit.databases import using_postgresql
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql, redis_server
from wire.errors import Unavailable

MOST = 3
Opens = Callable[[], DatabaseWrapper]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    given = {"db_pool_size": 2, "db_max_overflow": 1, "redis_max_connections": MOST}
    settings.FACE = service_settings().model_copy(update=given)
    monkeypatch.setattr(base, "PATIENCE_S", 0.5)
    monkeypatch.setattr(base, "_limits", {})


@pytest.fixture
def open_one(server: PostgreSQL, limited: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Opens]:
    """Opens a connection as a thread of the service does."""
    made: list[DatabaseWrapper] = []

    def open_one() -> DatabaseWrapper:
        one = DatabaseWrapper({**connection.settings_dict, **dj_database_url.parse(server.url)}, "pool")
        made.append(one)
        one.inc_thread_sharing()
        one.connect()
        return one

    with django_db_blocker.unblock():
        yield open_one
        for one in made:
            one.close()


def counted(server: PostgreSQL) -> int:
    """Connections by the server's count, this one left out."""
    with psycopg.connect(server.url) as own:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'face %'"
        found = own.execute(query).fetchone()
    assert found is not None
    return int(found[0])


def connect() -> None:
    """The calling thread's own: an attribute of `connection` is one of the thread that reads it."""
    connection.ensure_connection()


def test_the_last_one_waits_until_another_is_given_back(server: PostgreSQL, open_one: Opens) -> None:
    first, *_ = [open_one() for _ in range(MOST)]
    assert counted(server) == MOST
    began = time.monotonic()
    with pytest.raises(OperationalError, match="all 3 connections of this process are in use"):
        open_one()
    assert time.monotonic() - began >= 0.5
    first.close()
    assert open_one().is_usable()


def test_many_at_once_never_have_more(open_one: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PATIENCE_S", PATIENCE_S)
    open_now: list[int] = []
    highest: list[int] = []

    def use(number: int) -> None:
        one = open_one()
        open_now.append(number)
        highest.append(len(open_now))
        with one.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")
        open_now.remove(number)
        one.close()

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(use, range(40)))
    assert max(highest) == MOST


def test_connections_that_the_server_has_ended_do_not_count(server: PostgreSQL, open_one: Opens) -> None:
    ended = [open_one() for _ in range(MOST)]
    server.stop()
    server.start()
    assert not any(one.is_usable() for one in ended)
    assert [open_one().is_usable() for _ in range(MOST)] == [True] * MOST


@pytest.mark.django_db(transaction=True)
def test_threads_that_have_ended_leave_their_connections_to_others(server: PostgreSQL, limited: None) -> None:
    with using_postgresql(server.url):
        for _ in range(3 * MOST):
            with ThreadPoolExecutor(1) as thread:
                thread.submit(with_connection, connect).result(PATIENCE_S)


@pytest.mark.django_db(transaction=True)
def test_who_finds_all_in_use_is_told_unavailable(server: PostgreSQL, limited: None) -> None:
    held, over = threading.Barrier(MOST), threading.Event()

    def hold() -> None:
        connect()
        held.wait(PATIENCE_S)
        assert over.wait(PATIENCE_S)

    with using_postgresql(server.url), ThreadPoolExecutor(MOST) as threads:
        connect()  # The first of them.
        holding = [threads.submit(with_connection, hold) for _ in range(MOST - 1)]
        held.wait(PATIENCE_S)
        try:
            with pytest.raises(Unavailable) as told:
                threads.submit(with_connection, connect).result(PATIENCE_S)
            assert told.value.retry_after_ms
        finally:
            over.set()
        for one in holding:
            one.result(PATIENCE_S)


@contextmanager
def broker(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[redis.Redis]:
    monkeypatch.setattr(state, "job_settings", lambda: service_settings().model_copy(update={"redis_url": url}))
    monkeypatch.setattr(state, "connection", state.connection.__wrapped__)
    with state.connection().asked() as client:
        yield client
        client.connection_pool.disconnect()


def test_the_pool_of_redis_is_bounded_and_waits(limited: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as other, broker(monkeypatch, url) as client:
        before = len(other.client_list())
        with ThreadPoolExecutor(12) as threads:
            assert all(threads.map(lambda number: client.set(f"key-{number}", number), range(200)))
        assert len(other.client_list()) == before + MOST
        taken = [client.connection_pool.get_connection() for _ in range(MOST)]
        with pytest.raises(redis.RedisError, match="No connection available"):
            client.ping()
        client.connection_pool.release(taken.pop())
        assert client.ping()
        for one in taken:
            client.connection_pool.release(one)
