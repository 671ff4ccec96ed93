"""Two instances of the service behind nginx: what happens to one of them costs nobody an answer or a session."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.reload.people import Filmed
from bench.reload.requests import Failure, RequestTally, ask_again_and_again
from bench.reload.sessions import SessionTally, Visitor
from testkit import loopback
from testkit.clips import encode_jpeg
from testkit.families import kill_family
from testkit.front import Front, running_front
from testkit.instances import NEXT_VERSION, Site, next_version
from testkit.patience import PATIENCE_S
from testkit.servers import postgresql
from testkit.service import REPOSITORY, LiveService, free_port
from testkit.stream_client import CreatedSession, ServiceClient
from tests.conftest import needs_shared_data
from tests.service.faults.test_reload import enroll, until
from tests.service.sessions.streams import clip, jpegs

ASKING = 10
STREAMING = 4
EMPTY_ROOM = encode_jpeg(np.full((288, 360, 3), 90, np.uint8))
ABNORMAL_CLOSE = 1006
"""What a client sees of a connection that ends without a close frame."""
NGINX_LEFT = "RemoteProtocolError Server disconnected without sending a response."
"""What a client sees of a kept connection that nginx closes for a reload in the moment in which it asks on it. HTTP has
clients ask again then (RFC 9112, 9.3.1). For what an instance leaves unanswered nginx has an answer: 502."""

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@dataclass(slots=True)
class Hesitant(Filmed):
    """Comes without showing a face when told to be away, and is not decided until told to be back.

    `streams_undecided`: the socket is open of a session that was created while it was away.
    """

    away: bool = False
    streams_undecided: bool = False
    _created_away: bool = False

    async def begin(self, client: ServiceClient) -> CreatedSession:
        self._created_away = self.away
        return await Filmed.begin(self, client)

    def frames(self) -> Iterator[bytes]:
        self.streams_undecided = self._created_away
        for picture in itertools.cycle(self.clip):
            yield EMPTY_ROOM if self._created_away and self.away else picture


@dataclass(slots=True)
class Load:
    """People who authenticate and clients that ask, all through nginx."""

    frames: list[bytes]
    people: list[Hesitant] = field(init=False)
    requests: RequestTally = field(default_factory=RequestTally)
    sessions: SessionTally = field(default_factory=SessionTally)

    def __post_init__(self) -> None:
        self.people = [Hesitant("regular", self.frames[::2]) for _ in range(STREAMING)]

    @property
    def decided(self) -> int:
        return sum(self.sessions.decided.values())

    async def some_more(self) -> None:
        """Wait until more sessions than there are people were decided, and as many requests answered as there are
        clients: all of them began after the call."""
        decided = self.decided
        await self.more_requests()
        await until(lambda: self.decided > decided + STREAMING)

    async def more_requests(self) -> None:
        answered = len(self.requests.waits)
        await until(lambda: len(self.requests.waits) > answered + 2 * ASKING)

    @asynccontextmanager
    async def everybody_undecided(self) -> AsyncIterator[None]:
        """Everybody streams, in a session that was created within this block, and is not decided before its end."""
        for person in self.people:
            person.away, person.streams_undecided = True, False
        await until(lambda: all(person.streams_undecided for person in self.people))
        yield
        for person in self.people:
            person.away = False

    def assert_that_nobody_noticed(self) -> None:
        assert noticed(self.requests.failures) == []
        assert (self.sessions.lost, self.sessions.mistakes) == ([], [])
        assert set(self.sessions.decided) == {"authentication: success"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with postgresql() as database:
        yield Site(tmp_path_factory.mktemp("site"), database.url, f"https://localhost:{free_port()}")


@pytest.fixture(scope="module")
def first(site: Site) -> Iterator[LiveService]:
    with site.instance("first") as service:
        yield service


@pytest.fixture
def front(site: Site, first: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    with running_front(tmp_path, port_of(site.public_url), [port_of(first.base_url)], limited=False) as front:
        # What clients of the load trust, as people's machines trust a public authority.
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate.certificate))
        yield front


def noticed(failures: list[Failure]) -> list[Failure]:
    return [failure for failure in failures if failure.what != NGINX_LEFT]


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@asynccontextmanager
async def load_on(site: Site, first: LiveService) -> AsyncIterator[Load]:
    load, over = Load(jpegs(clip("pwij3p"))), asyncio.Event()
    await enroll(first, "regular", load.frames[5])
    async with ServiceClient(site.public_url, site.api_key, timeout_s=PATIENCE_S) as client:
        clients = [
            asyncio.create_task(ask_again_and_again(site.public_url, site.api_key, number, over, load.requests))
            for number in range(ASKING)
        ] + [
            asyncio.create_task(Visitor(client, person, 4, load.sessions).come_again_and_again(over))
            for person in load.people
        ]
        try:
            yield load
        finally:
            over.set()
            await asyncio.gather(*clients)


@needs_shared_data
async def test_a_killed_instance_and_a_reloaded_one_cost_nobody_an_answer_or_a_session(
    site: Site, first: LiveService, front: Front
) -> None:
    with site.instance("second") as second:
        front.send_to([port_of(first.base_url), port_of(second.base_url)])
        async with load_on(site, first) as load:
            await load.some_more()
            before = workers(first)
            os.kill(first.pid, signal.SIGHUP)
            await until(lambda: not before & workers(first))
            await load.some_more()
            front.send_to([port_of(second.base_url)])
            async with load.everybody_undecided():
                front.send_to([port_of(first.base_url), port_of(second.base_url)])
                await load.more_requests()
                kill_family(second.pid)
            await load.some_more()
    load.assert_that_nobody_noticed()
    assert load.sessions.reconnects[ABNORMAL_CLOSE] >= STREAMING, "not everybody streamed to what was killed"


@needs_shared_data
async def test_a_rolling_update_changes_the_version_and_nobody_notices(
    site: Site, first: LiveService, front: Front
) -> None:
    """As docs/operations/containers.md says: one instance after the other is taken out, replaced and put back."""
    tree = next_version(front.directory)
    with ExitStack() as stack:
        old = stack.enter_context(ExitStack())
        second = old.enter_context(site.instance("of this version"))
        front.send_to([port_of(first.base_url), port_of(second.base_url)])
        async with load_on(site, first) as load:
            await load.some_more()
            assert await versions(site) == {
                json.loads((REPOSITORY / "docs/api/openapi.json").read_text())["info"]["version"]
            }
            front.send_to([port_of(second.base_url)])
            async with load.everybody_undecided():
                front.send_to([port_of(first.base_url)])
                await asyncio.to_thread(old.close)
            new = await asyncio.to_thread(stack.enter_context, site.instance("of the next", tree=tree))
            front.send_to([port_of(first.base_url), port_of(new.base_url)])
            await load.some_more()
            seen: set[str] = set()
            async with asyncio.timeout(PATIENCE_S):
                while len(seen) < 2:  # Whoever has fewer connections at a moment is asked.
                    seen |= await versions(site)
            await every_file_of_the_page_is_there(site)
            front.send_to([port_of(new.base_url)])
            await load.some_more()
            assert await versions(site) == {NEXT_VERSION}
    load.assert_that_nobody_noticed()
    assert noticed(load.sessions.repeated) == []
    assert load.sessions.reconnects[1012] >= STREAMING, "not everybody streamed to what was updated"


async def test_files_of_the_page_are_compressed_kept_by_browsers_and_held_by_nginx(site: Site, front: Front) -> None:
    async with loopback.client(base_url=site.public_url, timeout=PATIENCE_S) as client:
        page = await client.get("/")
        assert page.headers["strict-transport-security"].startswith("max-age=")
        links = set(re.findall(r'(?:href|src)="(static/[^"]+\.(?:css|js))"', page.text))
        assert links
        for link in links:
            for cache in ("MISS", "HIT"):
                file = await client.get(f"/{link}", headers={"accept-encoding": "gzip"})
                assert file.status_code == 200
                assert file.headers["content-encoding"] == "gzip"
                assert "immutable" in file.headers["cache-control"]
                assert file.headers["x-content-type-options"] == "nosniff"
                assert file.headers["x-cache"] == cache


async def versions(site: Site) -> set[str]:
    """Those that are served, of both instances if there are two: each answers every other request."""
    async with loopback.client(base_url=site.public_url, timeout=PATIENCE_S) as client:
        client.headers["authorization"] = f"Bearer {site.api_key}"
        return {(await client.get("/api/openapi.json")).json()["info"]["version"] for _ in range(12)}


async def every_file_of_the_page_is_there(site: Site) -> None:
    """Also those of the other version's page, whichever instance is asked for them."""
    async with loopback.client(base_url=site.public_url, timeout=PATIENCE_S) as client:
        pages: set[str] = set()
        async with asyncio.timeout(PATIENCE_S):
            while len(pages) < 2:
                pages.add((await client.get("/")).text)
        for link in {link for page in pages for link in re.findall(r'(?:href|src)="(static/[^"]+)"', page)}:
            for _ in range(3):
                assert (await client.get(f"/{link}")).status_code == 200, link


def workers(service: LiveService) -> set[int]:
    return {worker.pid for worker in psutil.Process(service.pid).children()}
