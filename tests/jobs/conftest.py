"""Each way in which jobs get to a worker: embedded on each database, and over Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from testkit.databases import using_postgresql
from testkit.job_workers import JobProcess, job_process, publishing_to
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
