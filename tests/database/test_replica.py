"""Reads that may be stale go to a real streaming replica, all others to the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from testkit.replicas import replica_of
from testkit.servers import PostgreSQL, postgresql
from tests.backup.support import Installation

WHO_IS_ASKED = """
import logging; logging.basicConfig()
from django.db import connections
from database.replica import read_stale
from database.calls import with_connection
from gallery.people import create_subject
from jobs.watching.database_facts import facts
from tenants.models import Tenant
here = lambda: Tenant.objects.filter(name="acme").db
print(here(), with_connection(read_stale, here), here())
def asked():
    tenant = Tenant.objects.get(name="acme")
    Tenant.objects.filter(pk=tenant.pk).update(challenge_steps=2)
    return Tenant.objects.get(pk=tenant.pk).challenge_steps
print(with_connection(asked), with_connection(read_stale, facts).unsent)
print(connections["replica"].connection is not None)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


def told_by(one: Installation, script: str) -> list[str]:
    done = one.run("shell", "--no-imports", "-c", script)
    assert done.returncode == 0, done.stderr
    return [*done.stdout.split(), "warned" if "the replica of DATABASE_REPLICA_URL" in done.stderr else "silent"]


def test_only_reads_that_may_be_stale_are_asked_of_the_replica(server: PostgreSQL, tmp_path: Path) -> None:
    one = Installation(tmp_path, {"DATABASE_URL": server.url})
    one.manage("prepare")
    one.manage("create_tenant", "acme")
    with replica_of(server) as url:
        both = Installation(tmp_path, {"DATABASE_URL": server.url, "DATABASE_REPLICA_URL": url})
        assert told_by(both, WHO_IS_ASKED) == ["default", "replica", "default", "2", "0", "True", "silent"]
        with psycopg.connect(url) as replica, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            replica.execute("UPDATE tenants_tenant SET name = name")
        both.manage("prepare")
        assert "no day" in both.manage("outcomes", "--tenant", "acme")
    lost = told_by(both, WHO_IS_ASKED.replace("with_connection(read_stale, here)", "'-'"))
    assert lost == ["default", "-", "default", "2", "0", "False", "warned"], "the database itself is asked"
    assert "no day" in both.manage("outcomes", "--tenant", "acme")


def test_without_a_replica_nothing_changes(server: PostgreSQL, tmp_path: Path) -> None:
    script = WHO_IS_ASKED.rsplit("\n", 2)[0]
    one = Installation(tmp_path, {"DATABASE_URL": server.url})
    one.manage("prepare")
    assert told_by(one, script) == ["default", "default", "default", "2", "0", "silent"]
