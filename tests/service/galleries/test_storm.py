"""Whoever was enrolled is found by every worker at once, and whoever was erased by none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from testkit import loopback
from testkit.clips import SHARED_DATA
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql
from testkit.service import LiveService, running_service

WORKERS = 4
CLIENTS = 4
LOOKS = 3
"""Searches after each change, each over a connection of its own, so that any worker answers."""
STORM_S = float(os.environ.get("STORM_S") or 12)
"""How long the storm lasts; STORM_S=60 by hand."""
RACES = 4
PICTURES = SHARED_DATA / "lfw" / "images"
SEARCH = "/api/v1/faces/search/"
TEMPLATES = "/api/v1/subjects/{}/templates/"
pytestmark = pytest.mark.skipif(not PICTURES.is_dir(), reason="the shared pictures are not here")


@dataclass(frozen=True, slots=True)
class Place:
    service: LiveService
    database: PostgreSQL | None

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Its server is stopped, or its file is elsewhere."""
        if self.database is not None:
            self.database.stop()
            yield
            self.database.start()
        else:
            path = self.service.data_dir / "face.sqlite3"
            away = path.rename(path.with_name("away.sqlite3"))
            yield
            away.rename(path)


@pytest.fixture(scope="module", params=["exact", "usearch", "pgvector"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    environment = {"FACE_GALLERY_STORE": request.param, "FACE_ADMISSION_TIMEOUT_MS": "60000"}
    with ExitStack() as stack:
        database = stack.enter_context(postgresql()) if request.param == "pgvector" else None
        if database is not None:
            environment["DATABASE_URL"] = database.url
        directory = tmp_path_factory.mktemp(request.param)
        running = running_service(directory, workers=WORKERS, pool_size=1, environment=environment)
        yield Place(stack.enter_context(running), database)


@pytest.fixture
def service(place: Place) -> LiveService:
    return place.service


def test_a_storm_of_enrolments_searches_and_deletions_gets_no_stale_answer(service: LiveService) -> None:
    over = time.monotonic() + STORM_S
    with ThreadPoolExecutor(CLIENTS) as clients:
        storms = [clients.submit(Storm(service, picture, over).run) for picture in pictures(CLIENTS)]
        changes = [storm.result(STORM_S + 4 * PATIENCE_S) for storm in storms]
    assert min(changes) > 0, "each client has made changes"
    assert "Traceback" not in service.log.read_text()


def test_of_two_enrolments_of_one_face_at_once_one_wins(service: LiveService) -> None:
    (picture,) = pictures(1)
    clients = [Storm(service, picture, 0.0) for _ in range(CLIENTS)]
    for turn in range(RACES):
        names = [f"{picture.parent.name}-{turn}-{number}" for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as threads:
            answers = dict(zip(names, threads.map(Storm.enrol, clients, names), strict=True))
        statuses = [answer.status_code for answer in answers.values()]
        assert sorted(statuses) == [201, *[409] * (CLIENTS - 1)], [answer.text for answer in answers.values()]
        (winner,) = [name for name, answer in answers.items() if answer.status_code == 201]
        for client in clients:
            assert client.found() == [winner]
        assert clients[0].erase(winner) == 204


def test_without_a_database_everybody_is_told_and_what_was_answered_stays_true(place: Place) -> None:
    (picture,) = pictures(1)
    name = f"{picture.parent.name}-kept"
    client = Storm(place.service, picture, 0.0)
    assert client.enrol(name).status_code == 201
    with place.without_database():
        for path, field in ((SEARCH, "image"), (TEMPLATES.format(name), "images")):
            answer = client.ask_once("POST", path, field)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
            assert answer.json()["error"]["details"]["retry_after_ms"] > 0
    for _ in range(LOOKS * WORKERS):
        assert client.found() == [name]
    assert client.erase(name) == 204
    assert client.found() == []


class Storm:
    """One client with a face of its own: enrols, looks, erases and looks again, until its time is over."""

    def __init__(self, service: LiveService, picture: Path, over: float) -> None:
        self._service = service
        self._picture = picture.read_bytes()
        self._name = picture.parent.name
        self._over = over
        self._workers: set[int] = set()

    def run(self) -> int:
        turn = 0
        while turn == 0 or time.monotonic() < self._over:
            name = f"{self._name}-{turn}"
            enrolled = self.enrol(name)
            assert enrolled.json()["rejected"] == [], enrolled.text
            for _ in range(LOOKS):
                assert self.found() == [name], "somebody who was enrolled"
            assert self.erase(name) == 204
            for _ in range(LOOKS):
                assert self.found() == [], "somebody who was erased"
            turn += 1
        return turn

    def enrol(self, name: str) -> httpx.Response:
        return self._ask("POST", TEMPLATES.format(name), "images")

    def erase(self, name: str) -> int:
        return self._ask("DELETE", f"/api/v1/subjects/{name}/").status_code

    def found(self) -> list[str]:
        answer = self._ask("POST", SEARCH, "image")
        assert answer.status_code == 200, answer.text
        names = [match["subject_id"] for match in answer.json()["matches"]]
        return [name for name in names if name.startswith(self._name)]

    def ask_once(self, method: str, path: str, field: str | None = None) -> httpx.Response:
        """One request over a connection of its own."""
        with loopback.blocking_client(base_url=self._service.base_url, timeout=PATIENCE_S) as client:
            return client.request(
                method,
                path,
                files={field: ("face.jpg", self._picture, "image/jpeg")} if field else None,
                headers={"Authorization": f"Bearer {self._service.api_key}"},
            )

    def _ask(self, method: str, path: str, field: str | None = None) -> httpx.Response:
        """The same; one that is told to wait is made again."""
        give_up = time.monotonic() + 2 * PATIENCE_S
        while True:
            answer = self.ask_once(method, path, field)
            if answer.status_code not in (429, 503) or time.monotonic() > give_up:
                return answer
            threading.Event().wait(answer.json()["error"]["details"]["retry_after_ms"] / 1000)


def pictures(number: int) -> list[Path]:
    """One picture of each of several people."""
    people = [folder for folder in sorted(PICTURES.iterdir()) if folder.is_dir()]
    return [next(iter(sorted(folder.glob("*.jpg")))) for folder in people[:number]]
