"""Connections of a whole service under load, as PostgreSQL and Redis count them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
import redis

from testkit import loopback
from testkit.environment import clean_environment
from testkit.job_site import MANAGE, wait_for
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql, redis_server
from testkit.service import REPOSITORY, LiveService, running_service

POOL, OVERFLOW, REDIS = 3, 2, 4
CLIENTS = 16
REQUESTS = 40
"""Of each client."""


@dataclass(slots=True)
class Seen:
    """The most connections of each process that were seen at once."""

    of_database: Counter[str] = field(default_factory=Counter)
    of_redis: Counter[int] = field(default_factory=Counter)

    def look(self, database: psycopg.Connection, broker: redis.Redis, processes: list[psutil.Process]) -> None:
        names = (
            "SELECT application_name, count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'face %' GROUP BY application_name"
        )
        self.of_database |= Counter(dict(database.execute(names).fetchall()))
        port = broker.get_connection_kwargs()["port"]
        self.of_redis |= Counter({one.pid: _to(one, port) for one in processes})


def _to(process: psutil.Process, port: int) -> int:
    try:
        found = process.net_connections("tcp4")
    except psutil.Error:
        return 0
    return sum(1 for one in found if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED)


@contextmanager
def job_worker(variables: dict[str, str]) -> Iterator[psutil.Process]:
    paths = {"PYTHONPATH": str(REPOSITORY / "face_recognition_app")}
    process = subprocess.Popen(
        [sys.executable, MANAGE, "jobs", "worker"], env={**clean_environment(), **paths, **variables}
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def ask(service: LiveService, number: int) -> list[httpx.Response]:
    """Lists, new people, and jobs that are sent over Redis."""
    headers = {"authorization": f"Bearer {service.api_key}"}
    with loopback.blocking_client(base_url=service.base_url, headers=headers, timeout=PATIENCE_S) as http:
        return [
            answer
            for turn in range(REQUESTS // 4)
            for answer in (
                http.get("/api/v1/subjects/?limit=10"),
                http.post("/api/v1/subjects/", json={"subject_id": f"of-{number}-{turn}"}),
                http.post("/api/v1/jobs/", json={"type": "noop", "priority": "high"}),
                http.get("/api/ready/"),
            )
        ]


def family(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def test_no_process_has_more_connections_than_it_may(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server: PostgreSQL = stack.enter_context(postgresql())
        url = stack.enter_context(redis_server(tmp_path))
        variables = {
            "DATABASE_URL": server.url,
            "REDIS_URL": url,
            "DB_POOL_SIZE": str(POOL),
            "DB_MAX_OVERFLOW": str(OVERFLOW),
            "REDIS_MAX_CONNECTIONS": str(REDIS),
        }
        service = stack.enter_context(running_service(tmp_path, workers=2, pool_size=1, environment=variables))
        own = {"FACE_DATA_DIR": str(service.data_dir), "WORKER_CONCURRENCY": "3", "SCHEDULER_INTERVAL": "100ms"}
        worker = stack.enter_context(job_worker({**variables, **own}))
        broker = stack.enter_context(redis.Redis.from_url(url))
        database = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        wait_for(lambda: len(family(worker)) > 3, "processes of the pool")
        web, seen = psutil.Process(service.pid).children(), Seen()
        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = [clients.submit(ask, service, number) for number in range(CLIENTS)]
            while not all(one.done() for one in asked):
                seen.look(database, broker, [*web, *family(worker)])
        answers = [answer for one in asked for answer in one.result()]
        assert {answer.status_code for answer in answers} <= {200, 201, 202}
        wait_for(lambda: finished(database) == CLIENTS * REQUESTS // 4, "every job is done")
        seen.look(database, broker, [*web, *family(worker)])
    assert {f"face {one.pid}" for one in web} <= seen.of_database.keys(), "both workers have answered"
    assert max(seen.of_database.values()) <= POOL + OVERFLOW, seen
    assert all(0 < seen.of_database[f"face {one.pid}"] <= POOL + OVERFLOW for one in web)
    assert all(0 < seen.of_redis[one.pid] <= REDIS for one in web), seen
    # The parent of a Celery pool has Celery's own connections beside the service's pool.
    assert max(seen.of_redis.values()) <= 2 * REDIS, seen


def finished(database: psycopg.Connection) -> int:
    found = database.execute("SELECT count(*) FROM jobs_job WHERE type = 'noop' AND status = 'succeeded'").fetchone()
    assert found is not None
    return int(found[0])
