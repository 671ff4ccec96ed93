"""Numbers of each day over REST, with and without the cache of REDIS_CACHE_ENABLED."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from prometheus_client import REGISTRY

from config.service import service_settings
from database import redis_access
from face_app.settings import redis_cache
from recognition.api.pages import cursor_for
from recognition.outcomes import cache
from recognition.outcomes.models import OutcomeSummary
from recognition.worker import Worker
from tenants.models import Tenant
from testkit.browsers.link import Link
from testkit.servers import redis_server
from tests.recognition.api.test_api import error_of
from tests.recognition.failing import Clock
from tests.recognition.isolation.theirs import statements
from tests.recognition.support import Backend, in_database

URL = "/api/v1/outcomes/"
NOON = datetime(2030, 1, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
SESSIONS = [["authentication", "failed", "no_match", 1], ["authentication", "succeeded", "", 4]]


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@contextmanager
def cached_in(url: str, settings: Any, *, enabled: bool = True) -> Iterator[None]:
    settings.FACE = service_settings().model_copy(update={"redis_url": url, "redis_cache_enabled": enabled})
    settings.CACHES = {"default": redis_cache(url, 4)}
    cache._connection.cache_clear()
    yield
    with cache._connection().asked() as kept:
        kept._cache.get_client().connection_pool.disconnect()  # type: ignore[attr-defined]
    cache._connection.cache_clear()


@pytest.fixture
def cached(redis_url: str, store: redis.Redis, settings: Any) -> Iterator[None]:
    with cached_in(redis_url, settings):
        yield


@pytest.fixture
def four_days(worker: Worker, backend: Backend, clock: Clock) -> Tenant:
    """A tenant of four days, each of which has its numbers; it is noon."""
    clock.now = NOON
    backend.tenant.created_at = NOON - timedelta(days=4)
    backend.tenant.save()
    add(backend.tenant, 1, 2, 3, 4)
    return backend.tenant


def add(tenant: Tenant, *days_ago: int) -> None:
    for number in days_ago:
        counted = {"attempts": 5, "locks": 0, "enrolments": number, "median_ms": 3_000, "p95_ms": None}
        OutcomeSummary.objects.create(
            tenant=tenant, day=ago(number), sessions=SESSIONS, made_at=NOON - timedelta(hours=11), **counted
        )


async def days(api: httpx.AsyncClient, **params: object) -> list[str]:
    answer = await api.get(URL, params=params)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return [item["day"] for item in answer.json()["items"]]


def looked(outcome: str) -> float:
    return REGISTRY.get_sample_value("face_cache_reads_total", {"outcome": outcome}) or 0.0


async def test_numbers_of_a_day_are_those_that_the_night_has_stored(api: httpx.AsyncClient, four_days: Tenant) -> None:
    read = (await api.get(f"{URL}{ago(2)}/")).json()
    assert read == {
        "day": str(ago(2)),
        "sessions": [
            {"kind": "authentication", "status": "failed", "reason": "no_match", "number": 1},
            {"kind": "authentication", "status": "succeeded", "reason": None, "number": 4},
        ],
        "attempts": 5,
        "enrolments": 2,
        "locks": 0,
        "median_ms": 3_000,
        "p95_ms": None,
    }
    assert (await api.get(URL)).json()["items"][1] == read


async def test_the_list_is_in_pages_with_the_newest_day_first(api: httpx.AsyncClient, four_days: Tenant) -> None:
    first = (await api.get(URL, params={"limit": 3})).json()
    assert [item["day"] for item in first["items"]] == [str(ago(number)) for number in (1, 2, 3)]
    rest = (await api.get(URL, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert ([item["day"] for item in rest["items"]], rest["next_cursor"]) == ([str(ago(4))], None)


async def test_what_cannot_be_is_told(api: httpx.AsyncClient, four_days: Tenant) -> None:
    assert error_of(await api.get(f"{URL}{TODAY}/")) == (404, "outcomes_not_found")
    assert error_of(await api.get(f"{URL}yesterday/")) == (422, "validation_error")


async def test_a_cursor_of_another_list_does_no_harm(api: httpx.AsyncClient, four_days: Tenant) -> None:
    assert len(await days(api, cursor=cursor_for(four_days, 10**12))) == 4
    assert await days(api, cursor=cursor_for(four_days, 1)) == []


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("path", "ttl_s"), [("?limit=10", 300), (f"{ago(2)}/", 600)])
async def test_the_second_answer_needs_the_database_for_the_key_alone(
    api: httpx.AsyncClient,
    four_days: Tenant,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    ttl_s: int,
) -> None:
    before = looked("miss"), looked("hit")
    first = await api.get(URL + path)
    with statements(monkeypatch) as made:
        second = await api.get(URL + path)
    assert (second.status_code, second.json()) == (200, first.json())
    assert re.findall(r'FROM "(\w+)"', " ".join(made)) == ["tenants_apikey", "tenants_tenant"]
    assert (looked("miss"), looked("hit")) == (before[0] + 1, before[1] + 1)
    [key] = store.keys("face:cache:*")
    assert ttl_s - 60 < store.ttl(key) <= ttl_s


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("there", "limit", "then"),
    [
        ((2, 3, 4), 10, 1),
        ((1, 3, 4), 10, 2),
        ((1, 2, 3), 10, 4),
        ((1, 2, 3), 3, 4),
        ((), 10, 1),
    ],
    ids=["without yesterday", "with a gap", "without the first day", "that may go on", "of nothing"],
)
async def test_a_list_that_may_grow_is_not_kept(
    api: httpx.AsyncClient, worker: Worker, four_days: Tenant, there: tuple[int, ...], limit: int, then: int
) -> None:
    await in_database(worker, OutcomeSummary.objects.filter(tenant=four_days).delete)
    await in_database(worker, add, four_days, *there)
    before = (await api.get(URL, params={"limit": limit})).json()
    await in_database(worker, add, four_days, then)
    assert (await api.get(URL, params={"limit": limit})).json() != before


@pytest.mark.usefixtures("cached")
async def test_a_day_is_found_as_soon_as_it_is_there(api: httpx.AsyncClient, worker: Worker, four_days: Tenant) -> None:
    assert (await api.get(f"{URL}{TODAY}/")).status_code == 404
    await in_database(worker, add, four_days, 0)
    assert (await api.get(f"{URL}{TODAY}/")).status_code == 200


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("seconds", "kept"), [(90.0, 1), (0.5, 0)])
async def test_a_list_is_kept_until_midnight_at_most(
    api: httpx.AsyncClient, four_days: Tenant, store: redis.Redis, clock: Clock, seconds: float, kept: int
) -> None:
    clock.now = NOON + timedelta(hours=12, seconds=-seconds)
    assert len(await days(api)) == 4
    found = [store.ttl(key) for key in store.keys("face:cache:*")]
    assert len(found) == kept
    assert all(0 < ttl <= seconds for ttl in found)


@pytest.mark.usefixtures("cached")
async def test_what_one_tenant_has_read_is_not_told_another(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, four_days: Tenant
) -> None:
    assert len(await days(api)) == 4
    assert (await api.get(f"{URL}{ago(1)}/")).status_code == 200
    assert await days(rival_api) == []
    assert (await rival_api.get(f"{URL}{ago(1)}/")).status_code == 404


@pytest.mark.usefixtures("cached")
async def test_a_tenant_of_a_new_database_does_not_get_what_its_number_had(
    api: httpx.AsyncClient, worker: Worker, four_days: Tenant
) -> None:
    assert len(await days(api)) == 4
    four_days.created_at += timedelta(seconds=1)
    await in_database(worker, four_days.save)
    await in_database(worker, OutcomeSummary.objects.filter(tenant=four_days).delete)
    assert await days(api) == []


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("text", [b"\xff\xfe", b"{}", b"gASVCAAAAAAAAACMBG5hbWWULg=="])
async def test_a_text_of_somebody_else_is_replaced(
    api: httpx.AsyncClient, four_days: Tenant, store: redis.Redis, text: bytes
) -> None:
    await days(api)
    [key] = store.keys("face:cache:*")
    store.set(key, text)
    assert len(await days(api)) == 4
    assert b'"next_cursor"' in store.get(key)  # type: ignore[operator]


@pytest.mark.usefixtures("cached")
async def test_a_redis_that_is_full_costs_nobody_an_answer(
    api: httpx.AsyncClient, four_days: Tenant, store: redis.Redis
) -> None:
    store.config_set("maxmemory", 1)
    try:
        assert len(await days(api)) == len(await days(api)) == 4
    finally:
        store.config_set("maxmemory", 0)
    assert store.keys("face:cache:*") == []


async def test_a_silent_redis_is_waited_for_once(
    api: httpx.AsyncClient,
    four_days: Tenant,
    redis_url: str,
    store: redis.Redis,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_access, "PAUSE_S", 3_600.0)
    port = urlsplit(redis_url).port
    assert port is not None
    with Link(port) as link, cached_in(f"redis://127.0.0.1:{link.port}/0", settings):
        before = looked("unavailable")
        link.silence()
        assert len(await days(api)) == 4
        asked = link.own_ports()
        for _ in range(3):
            assert len(await days(api)) == 4
        assert link.own_ports() == asked
        assert looked("unavailable") == before + 4
        link.resume()
        monkeypatch.setattr(redis_access, "PAUSE_S", 0.0)
        assert len(await days(api)) == 4
        assert len(store.keys("face:cache:*")) == 1


async def test_without_the_setting_redis_is_not_asked(
    api: httpx.AsyncClient, four_days: Tenant, redis_url: str, store: redis.Redis, settings: Any
) -> None:
    with cached_in(redis_url, settings, enabled=False):
        store.config_resetstat()
        assert len(await days(api)) == 4
        assert (await api.get(f"{URL}{ago(1)}/")).status_code == 200
        assert store.info("stats")["total_connections_received"] == 0
        assert {name for name in store.info("commandstats") if "get" in name or "set" in name} <= {
            "cmdstat_config|resetstat"
        }
