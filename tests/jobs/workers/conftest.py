from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.job_site import JobSite
from testkit.servers import redis_server

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


@pytest.fixture(params=["embedded", pytest.param("pooled", marks=needs_redis)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobSite]:
    """A place for jobs, for each of the two workers."""
    if request.param == "embedded":
        yield JobSite(tmp_path)
    else:
        with redis_server(tmp_path) as url:
            yield JobSite(tmp_path, url)


@pytest.fixture
def redis_site(tmp_path: Path) -> Iterator[JobSite]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with redis_server(tmp_path) as url:
        yield JobSite(tmp_path, url)
