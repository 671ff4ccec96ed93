"""Time-outs of statements on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dj_database_url
import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from database.postgresql.base import DatabaseWrapper, statement_timeout_s
from testkit.servers import postgresql

SLEEP = "SELECT pg_sleep(600)"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as server:
        yield server.url


@pytest.fixture
def database(url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[DatabaseWrapper]:
    own: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True)}
    found = DatabaseWrapper({**connection.settings_dict, **own})
    with django_db_blocker.unblock():
        yield found
        found.close()


@pytest.fixture
def impatient() -> Iterator[None]:
    before = statement_timeout_s.set(0.2)
    yield
    statement_timeout_s.reset(before)


def ask(database: DatabaseWrapper, statement: str) -> Any:
    database.close_if_unusable_or_obsolete()
    with database.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


@pytest.mark.usefixtures("impatient")
def test_a_statement_without_an_answer_times_out_and_closes_its_connection(database: DatabaseWrapper) -> None:
    assert ask(database, "SELECT 1") == (1,)
    first = database.connection
    with pytest.raises(OperationalError):
        ask(database, SLEEP)
    assert first.closed
    assert ask(database, "SELECT 2") == (2,), "whoever comes next has a connection of its own"


@pytest.mark.usefixtures("impatient")
def test_a_transaction_that_timed_out_has_changed_nothing(database: DatabaseWrapper) -> None:
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (one integer)")
    database.set_autocommit(False)
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(OperationalError):
            cursor.execute(SLEEP)
    database.close()
    assert ask(database, "SELECT count(*) FROM kept") == (0,)


def test_a_command_has_no_statement_timeout(database: DatabaseWrapper) -> None:
    assert statement_timeout_s.get() is None
    assert ask(database, "SELECT 3 FROM pg_sleep(0.5)") == (3,)


@pytest.mark.usefixtures("impatient")
def test_an_error_of_the_server_leaves_the_connection_open(database: DatabaseWrapper) -> None:
    ask(database, "SELECT 1")
    first = database.connection
    ask(database, "SELECT set_config('lock_timeout', '10ms', false)")
    other = DatabaseWrapper({**database.settings_dict})
    try:
        ask(other, "SELECT pg_advisory_lock(7), 1")
        with pytest.raises(OperationalError, match="lock timeout"):
            ask(database, "SELECT pg_advisory_lock(7)")
    finally:
        other.close()
    assert not first.closed
