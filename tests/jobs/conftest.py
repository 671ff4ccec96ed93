"""Each way in which jobs get to a worker: embedded on each database, and over Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from config import job_settings as settings_of_jobs
from jobs.broker import application, state
from testkit.databases import using_postgresql
from testkit.job_workers import JobProcess, job_process
from testkit.servers import redis_server

EMBEDDED = ("embedded on sqlite", "embedded on postgresql")
OVER_REDIS = ("celery on sqlite", "celery on postgresql")


@dataclass(frozen=True, slots=True)
class Way:
    """`worker(**variables)` runs a worker until its block ends."""

    name: str
    redis_url: str
    worker: Callable[..., AbstractContextManager[JobProcess]]

    @property
    def is_embedded(self) -> bool:
        return not self.redis_url


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=[*EMBEDDED, OVER_REDIS[1]])
def way(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[Way]:
    with ExitStack() as stack:
        if request.param.endswith("postgresql"):
            stack.enter_context(using_postgresql(request.getfixturevalue("postgresql_url")))
        url = request.getfixturevalue("own_redis") if request.param in OVER_REDIS else ""
        stack.enter_context(publishing_to(url))
        yield Way(request.param, url, lambda **variables: job_process(tmp_path, REDIS_URL=url, **variables))


over_redis = pytest.mark.parametrize("way", OVER_REDIS, indirect=True)
embedded = pytest.mark.parametrize("way", EMBEDDED, indirect=True)
everywhere = pytest.mark.parametrize("way", [*EMBEDDED, *OVER_REDIS], indirect=True)


@contextmanager
def publishing_to(url: str) -> Iterator[None]:
    """Let this process send its jobs there; empty: nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", url)
        _forget_settings()
        if url:
            with redis.Redis.from_url(url) as client:
                client.flushall()
        try:
            yield
        finally:
            if url:
                application.application().close()
                state.connection().client.close()
    _forget_settings()


def _forget_settings() -> None:
    settings_of_jobs.job_settings.cache_clear()
    application.application.cache_clear()
    state.connection.cache_clear()
