"""The metrics of a real service under load, beside their document."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import redis
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from testkit import loopback
from testkit.clips import encode_jpeg, grace_hopper
from testkit.patience import PATIENCE_S
from testkit.receivers import write_certificate
from testkit.servers import postgresql, redis_server
from testkit.service import LiveService, free_port, running_service
from testkit.stream_client import play
from tests.deploy import promtool
from tests.deploy.documented import documented

PICTURE = encode_jpeg(grace_hopper())
STILL = {
    *("face_pool_stuck", "face_pool_max", "face_pool_instances", "face_compute_threads", "face_workers_wanted"),
    *("face_database_up", "face_database_max_connections", "face_redis_up", "face_redis_max_connections"),
    *("face_machine_cores", "face_machine_memory_bytes"),
    *("face_tls_certificate_expires_timestamp_seconds", "face_signing_key_created_timestamp_seconds"),
}
"""Gauges of what load does not change."""
ENVIRONMENT = {
    "REDIS_CACHE_ENABLED": "1",
    "FACE_ADMISSION_TIMEOUT_MS": "60",
    "FACE_MESH_MAX_USES": "5",
    "FACE_TOKEN_TTL_S": "5",
}
Scrape = dict[str, Metric]


@dataclass(frozen=True, slots=True)
class Scrapes:
    before: Scrape
    seen: list[Scrape]
    """During the load and after it."""
    text: str
    public_status: int


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Scrapes:
    directory = tmp_path_factory.mktemp("metrics")
    admin = f"127.0.0.1:{free_port()}"
    certificate = write_certificate(directory / "certificate.pem", "localhost")
    with postgresql() as database, redis_server(directory) as redis_url:
        places = {"DATABASE_URL": database.url, "REDIS_URL": redis_url, "FACE_ADMIN_BIND": admin}
        environment = {**ENVIRONMENT, **places, "FACE_TLS_CERTIFICATE": str(certificate)}
        with running_service(directory, workers=2, pool_size=1, environment=environment) as service:
            load = Load(service, f"http://{admin}/metrics")
            before = load.scrape()
            with redis.Redis.from_url(redis_url) as somebody:
                somebody.ping()
                asyncio.run(load.put())
            public = loopback.get(f"{service.base_url}/metrics", timeout=PATIENCE_S)
            return Scrapes(before, load.seen, load.text, public.status_code)


class Load:
    def __init__(self, service: LiveService, url: str) -> None:
        self.seen: list[Scrape] = []
        self.text = ""
        self._service = service
        self._url = url
        self._headers = {"Authorization": f"Bearer {service.api_key}"}

    def scrape(self) -> Scrape:
        self.text = loopback.get(self._url, timeout=PATIENCE_S).text
        found = {family.name: family for family in text_string_to_metric_families(self.text)}
        self.seen.append(found)
        return found

    async def put(self) -> None:
        expiring = await self._session()
        await asyncio.gather(self._stream(), self._stream(), self._flood(), self._scrape_for_a_while())
        self._send_nonsense()
        self._service.get("/api/v1/outcomes/")
        await asyncio.to_thread(self._wait_for_expiry, expiring["id"])
        await asyncio.to_thread(self._kill_a_worker)
        await asyncio.to_thread(self._wait_for, self._has_moved("face_workers_ended_total", "face_redis_connections"))

    async def _session(self) -> dict[str, str]:
        async with loopback.client(timeout=PATIENCE_S) as client:
            answer = await client.post(
                f"{self._service.base_url}/api/v1/sessions/",
                json={"kind": "identification", "liveness": "none"},
                headers=self._headers,
            )
            made: dict[str, str] = answer.json()
            return made

    async def _stream(self) -> None:
        """A session that is decided, and a socket that sends more frames than can be looked at."""
        made = await self._session()
        await play(made["websocket_url"], [PICTURE] * 30)
        made = await self._session()
        async with connect(made["websocket_url"], compression=None) as flooded:
            for _ in range(12):
                await flooded.send(PICTURE)
            await flooded.recv()

    async def _flood(self) -> None:
        """More pictures at once than are looked at in time."""
        async with loopback.client(timeout=PATIENCE_S) as client:
            url = f"{self._service.base_url}/api/v1/faces/detect/"
            many = [client.post(url, files={"image": PICTURE}, headers=self._headers) for _ in range(40)]
            await asyncio.gather(*many)

    async def _scrape_for_a_while(self) -> None:
        for _ in range(12):
            await asyncio.to_thread(self.scrape)
            await asyncio.sleep(0.05)

    def _send_nonsense(self) -> None:
        address = urlsplit(self._service.base_url)
        with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as raw:
            raw.sendall(b"NONSENSE\r\n\r\n")
            raw.recv(100)

    def _wait_for_expiry(self, session_id: str) -> None:
        read = f"/api/v1/sessions/{session_id}/"
        self._wait_for(lambda: self._service.get(read).json()["status"] == "expired")

    def _kill_a_worker(self) -> None:
        os.kill(int(self.seen[-1]["face_worker_threads"].samples[0].labels["pid"]), signal.SIGKILL)

    def _has_moved(self, *names: str) -> Callable[[], bool]:
        return lambda: all(moved(self.seen[0], self.seen)[name] for name in names)

    def _wait_for(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline
            time.sleep(0.3)
            self.scrape()


def samples_of(family: Metric) -> list[float]:
    return [sample.value for sample in family.samples if not sample.name.endswith("_created")]


def moved(before: Scrape, seen: list[Scrape]) -> dict[str, bool]:
    """Whether each documented metric has changed since `before` at some time."""
    found = {}
    for name in documented() - STILL:
        family = name.removesuffix("_total")
        at_first = samples_of(before[family]) if family in before else []
        found[name] = any(family in one and samples_of(one[family]) != at_first for one in seen)
    return found


def test_what_is_exposed_is_what_is_documented(scrapes: Scrapes) -> None:
    exposed: set[str] = set()
    for scrape in scrapes.seen:
        exposed |= {f"{one.name}_total" if one.type == "counter" else one.name for one in scrape.values()}
    ours = {name for name in exposed if name.startswith("face_") and not name.startswith("face_jobs")}
    assert ours == documented()


def test_each_moves_under_load(scrapes: Scrapes) -> None:
    assert [name for name, has_moved in moved(scrapes.before, scrapes.seen).items() if not has_moved] == []


def test_what_does_not_move_is_right(scrapes: Scrapes) -> None:
    def value(name: str) -> float:
        (sample,) = scrapes.before[name].samples
        return float(sample.value)

    assert value("face_workers_wanted") == value("face_pool_max") == 2
    assert value("face_database_up") == value("face_redis_up") == 1
    assert value("face_database_connections") < value("face_database_max_connections")
    assert value("face_redis_connections") < value("face_redis_max_connections")
    assert value("face_tls_certificate_expires_timestamp_seconds") > value("face_signing_key_created_timestamp_seconds")
    assert 0 < value("face_machine_memory_available_bytes") < value("face_machine_memory_bytes")


def test_threads_and_memory_of_each_worker_are_told(scrapes: Scrapes) -> None:
    by_pid = {
        name: {one.labels["pid"]: one.value for one in scrapes.before[f"face_worker_{name}"].samples}
        for name in ("threads", "private_bytes", "proportional_bytes", "memory_bytes")
    }
    assert len(by_pid["threads"]) == 2
    for pid, resident in by_pid["memory_bytes"].items():
        assert by_pid["private_bytes"][pid] < resident
        assert by_pid["proportional_bytes"][pid] <= resident
        assert by_pid["threads"][pid] > 4


def test_a_killed_worker_is_counted_as_unexpected(scrapes: Scrapes) -> None:
    ended = {one.labels["reason"]: one.value for one in scrapes.seen[-1]["face_workers_ended"].samples}
    assert ended == {"asked": 0, "memory": 0, "requests": 0, "stuck": 0, "failed_start": 0, "unexpected": 1}


def test_labels_have_nothing_that_a_client_chose(scrapes: Scrapes) -> None:
    requests = scrapes.seen[-1]["face_http_requests"].samples
    routes = {sample.labels["route"] for sample in requests}
    assert {"/api/v1/sessions/<session_id>/", "/api/v1/sessions/", "/metrics"} <= routes
    assert not [route for route in routes if re.search(r"[0-9a-f]{8}-", route)]


def test_the_public_port_does_not_have_them_once_there_is_an_admin_one(scrapes: Scrapes) -> None:
    assert scrapes.public_status == 404


def test_promtool_finds_nothing_wrong(scrapes: Scrapes) -> None:
    done = promtool.run(promtool.found(), "check", "metrics", given=scrapes.text)
    assert done.returncode == 0, done.stderr
