"""What tests share: real faces, a real engine, a real server, and a guard over the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from config.service import service_settings
from core.face_recognition_engine import FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from core.types import RgbImage
from recognition.worker import Worker
from testkit.clips import SHARED_DATA, astronaut, grace_hopper, read_clip, shared_data_available
from testkit.databases import using_postgresql
from testkit.servers import postgresql
from testkit.service import LiveService, running_service

BLOCKED_AFTER_S = 3.0
"""By the clock on the wall: on a crowded machine a callback may be made to wait for a core. Shorter than any wait for a
lock or a server that a callback could be caught in."""

# Examples of each property; pytest's option --hypothesis-profile=thorough asks for the many.
for _profile, _examples in (("quick", 20), ("thorough", 500)):
    settings.register_profile(
        _profile, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("quick")

needs_shared_data = pytest.mark.skipif(
    not shared_data_available(), reason=f"real clips are not here: {SHARED_DATA} is missing"
)


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A real worker: models, pool of 2, threads."""
    worker = Worker.start(service_settings())
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def engine(worker: Worker) -> FaceRecognitionEngine:
    return worker.engine


@pytest.fixture(scope="session")
def limits(worker: Worker) -> ImageLimits:
    return worker.limits


@pytest.fixture(scope="session")
def astronaut_rgb() -> RgbImage:
    return astronaut()


@pytest.fixture(scope="session")
def hopper_rgb() -> RgbImage:
    return grace_hopper()


@pytest.fixture(scope="session")
def enrolled_clip() -> list[RgbImage]:
    """75 frames of a GRID speaker: talking, blinking near frames 35 and 48."""
    if not shared_data_available():
        pytest.skip(f"real clips are not here: {SHARED_DATA} is missing")
    return read_clip(SHARED_DATA / "grid" / "pwij3p.mpg", 0, 75)


@pytest.fixture(scope="session")
def live_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The real script, serving with two workers until the tests end."""
    # One stranger after the other claims to be the same subject: more than a person may fail in three minutes.
    patient = {"FACE_ATTEMPTS_LIMIT": "1000", "FACE_IDENTIFICATION_FAILURES_PER_MIN": "10000"}
    with running_service(tmp_path_factory.mktemp("service"), workers=2, pool_size=2, environment=patient) as service:
        yield service


@pytest.fixture
async def unblocked_loop(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fails the test when a callback held its event loop: asyncio's own slow-callback warning."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = BLOCKED_AFTER_S
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        yield
    loop.set_debug(False)
    blocked = [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"]
    assert not blocked, f"the event loop was blocked: {blocked}"


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Of a real server, the tests' own."""
    with postgresql() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """Runs a test once on SQLite, which lets only one transaction write, and once on PostgreSQL, which lets all."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            stack.enter_context(using_postgresql(request.getfixturevalue("postgresql_url")))
        yield request.param


def data_file(name: str) -> Path:
    return SHARED_DATA / name
