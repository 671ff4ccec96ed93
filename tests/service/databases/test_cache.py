"""The cache of a whole service, as Redis counts it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.servers import postgresql, redis_server
from testkit.service import LiveService, running_service

DAYS = 30
URL = "/api/v1/outcomes/?limit=10"
COUNTED = """
    INSERT INTO outcomes_outcomesummary (tenant_id, day, sessions, attempts, locks, enrolments, made_at)
    SELECT id, current_date - number, '[]', number, 0, 0, now() FROM tenants_tenant, generate_series(1, %s) number
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveService, redis.Redis]]:
    """Two workers that share a Redis with a password, and a month of numbers."""
    directory = tmp_path_factory.mktemp("cache")
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        url = stack.enter_context(redis_server(directory))
        server = stack.enter_context(redis.Redis.from_url(url))
        server.config_set("requirepass", "not-for-others")
        server.execute_command("AUTH", "not-for-others")
        places = {
            "DATABASE_URL": database.url,
            "REDIS_URL": url.replace("//", "//:not-for-others@"),
            "REDIS_CACHE_ENABLED": "true",
        }
        service = stack.enter_context(running_service(directory, workers=2, pool_size=1, environment=places))
        with psycopg.connect(database.url) as connection:
            connection.execute(COUNTED, [DAYS])
        yield service, server


def answers(service: LiveService, number: int, clients: int) -> list[list[str]]:
    """The days that each of `number` requests was told, `clients` at a time."""
    headers = {"authorization": f"Bearer {service.api_key}"}
    with (
        loopback.blocking_client(base_url=service.base_url, headers=headers, timeout=PATIENCE_S) as http,
        ThreadPoolExecutor(clients) as threads,
    ):
        found = list(threads.map(lambda _: http.get(URL), range(number)))
    assert {answer.status_code for answer in found} == {200}
    return [[item["day"] for item in answer.json()["items"]] for answer in found]


def test_twenty_at_once_are_found_in_redis(site: tuple[LiveService, redis.Redis]) -> None:
    service, server = site
    answers(service, 1, 1)
    before = server.info("stats")["keyspace_hits"]
    answers(service, 20, 20)
    assert server.info("stats")["keyspace_hits"] == before + 20


def test_a_thousand_by_a_hundred_clients_are_all_answered_alike(site: tuple[LiveService, redis.Redis]) -> None:
    service, _ = site
    found = answers(service, 1_000, 100)
    today = max(date.fromisoformat(told[0]) for told in found) + timedelta(days=1)
    assert found == [[str(today - timedelta(days=number)) for number in range(1, 11)]] * 1_000


def test_the_password_of_redis_is_not_logged(site: tuple[LiveService, redis.Redis]) -> None:
    service, _ = site
    log: Path = service.log
    assert "worker ready" in log.read_text()
    assert "not-for-others" not in log.read_text()
