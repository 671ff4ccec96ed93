"""Many enrolments at once, over the wire: each is answered for itself, and what was answered is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack

import httpx
import psutil
import pytest

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.servers import postgresql
from testkit.service import REPOSITORY, LiveService, running_service
from tests.service.galleries.test_storm import PICTURES, TEMPLATES, Place, pictures

CLIENTS = 12
PEOPLE = 24
SPARE = 8
"""People whose picture may be refused."""
BEFORE_THE_FAULT = 4
"""Answers that have come when something breaks, while as many requests as there are clients are in work."""
ANSWERS_ARRIVE_S = 0.5
"""Time in which a client reads an answer that was sent, and closes."""
pytestmark = pytest.mark.skipif(not PICTURES.is_dir(), reason="the shared pictures are not here")

Pictures = Mapping[str, bytes]
Answers = dict[str, httpx.Response | None]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    environment = {"FACE_ADMISSION_TIMEOUT_MS": "60000"}
    with ExitStack() as stack:
        database = stack.enter_context(postgresql()) if request.param == "postgresql" else None
        if database is not None:
            environment["DATABASE_URL"] = database.url
        directory = tmp_path_factory.mktemp(request.param)
        running = running_service(directory, workers=2, pool_size=2, environment=environment)
        yield Place(stack.enter_context(running), database)


@pytest.fixture(scope="module")
def usable(place: Place) -> Pictures:
    """People of whom each can be enrolled."""
    people = {path.parent.name: path.read_bytes() for path in pictures(PEOPLE + SPARE)}
    answers = {name: enrol(place.service, name, picture) for name, picture in people.items()}
    erase(place.service, people)
    return {name: people[name] for name in list(people) if answers[name].status_code == 201}


@pytest.fixture
def crowd(place: Place, usable: Pictures) -> Iterator[Pictures]:
    """The same under names of this test's own. They are erased afterwards."""
    assert len(usable) >= PEOPLE
    test = uuid.uuid4().hex
    people = {f"{test}-{name}": picture for name, picture in usable.items()}
    yield people
    erase(place.service, people)


def test_everybody_is_enrolled_and_recorded_once_as_the_request_that_asked(place: Place, crowd: Pictures) -> None:
    answers = enrol_all(place.service, crowd)
    assert {name: code_of(answer) for name, answer in answers.items()} == dict.fromkeys(crowd, "201")
    assert sorted(recorded(place.service, len(crowd))) == sorted(crowd)
    for name, picture in crowd.items():
        assert name in found(place.service, picture)
    chain_holds(place)


def test_one_face_under_many_names_is_enrolled_once_among_others(place: Place, crowd: Pictures) -> None:
    names = list(crowd)
    doubles = {f"double-{number}": crowd[names[0]] for number in range(CLIENTS)}
    others = {name: crowd[name] for name in names[1:7]}
    mixed = dict(sorted({**doubles, **others, "nobody": b"no picture"}.items(), key=lambda one: one[0][::-1]))
    codes = {name: code_of(answer) for name, answer in enrol_all(place.service, mixed).items()}
    erase(place.service, doubles)
    assert sorted(codes[name] for name in doubles) == ["201", *["duplicate_face"] * (CLIENTS - 1)]
    assert {name: codes[name] for name in others} == dict.fromkeys(others, "201")
    assert codes["nobody"] == "no_usable_face"
    chain_holds(place)


def test_a_killed_worker_loses_nothing_answered_and_leaves_nothing_half_done(place: Place, crowd: Pictures) -> None:
    service = place.service
    victim = psutil.Process(service.pid).children()[0]
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = {clients.submit(try_to_enrol, service, name, picture): name for name, picture in crowd.items()}
        done = as_completed(asked)
        for _ in range(BEFORE_THE_FAULT):
            next(done)
        stop_while_serving([victim], service)
        victim.kill()
    answers: Answers = {name: one.result() for one, name in asked.items()}
    assert None in answers.values(), "the worker was serving somebody"
    assert {code_of(answer) for answer in answers.values() if answer is not None} == {"201"}
    what_was_answered_is_there(place, answers)


def test_a_database_that_goes_away_is_told_to_those_who_wait(place: Place, crowd: Pictures) -> None:
    service = place.service
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = {clients.submit(try_to_enrol, service, name, picture): name for name, picture in crowd.items()}
        done = as_completed(asked)
        for _ in range(BEFORE_THE_FAULT):
            next(done)
        workers = psutil.Process(service.pid).children()
        stop_while_serving(workers, service)
        with place.without_database():
            for worker in workers:
                worker.resume()
            for _ in done:
                pass
    answers: Answers = {name: one.result() for one, name in asked.items()}
    assert {code_of(answer) for answer in answers.values()} == {"201", "unavailable"}
    what_was_answered_is_there(place, answers)


def stop_while_serving(workers: Sequence[psutil.Process], service: LiveService) -> None:
    """Stop these workers at a moment at which somebody waits for the answer of one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for worker in workers:
            worker.suspend()
        time.sleep(ANSWERS_ARRIVE_S)
        if any(serves(worker, service) for worker in workers):
            return
        for worker in workers:
            worker.resume()
        time.sleep(0.01)
    raise AssertionError("the workers served nobody")


def serves(worker: psutil.Process, service: LiveService) -> bool:
    port = int(service.base_url.rpartition(":")[2])
    connections = worker.net_connections("tcp")
    return any(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in connections)


def what_was_answered_is_there(place: Place, answers: Answers) -> None:
    """Who was told 201 is enrolled; anybody else is enrolled and recorded, or neither."""
    entries = recorded(place.service, len(answers))
    for name, answer in answers.items():
        held = templates(place.service, name)
        assert held == 1 if answer is not None and answer.status_code == 201 else held in (0, 1), name
        assert entries.count(name) == held, name
    chain_holds(place)


def enrol_all(service: LiveService, people: Pictures) -> Answers:
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = {name: clients.submit(enrol, service, name, picture) for name, picture in people.items()}
    return {name: one.result() for name, one in asked.items()}


def try_to_enrol(service: LiveService, name: str, picture: bytes) -> httpx.Response | None:
    """The answer; None if the connection has ended without one."""
    try:
        return enrol(service, name, picture)
    except httpx.TransportError:
        return None


def enrol(service: LiveService, name: str, picture: bytes) -> httpx.Response:
    with client_of(service) as client:
        files = {"images": ("face.jpg", picture, "image/jpeg")}
        return client.post(TEMPLATES.format(name), files=files, headers={"x-request-id": f"enrol-{name}"})


def code_of(answer: httpx.Response | None) -> str:
    """201, or the code of the error."""
    assert answer is not None
    return "201" if answer.status_code == 201 else str(answer.json()["error"]["code"])


def erase(service: LiveService, names: Iterable[str]) -> None:
    with client_of(service) as client:
        for name in names:
            assert client.delete(f"/api/v1/subjects/{name}/").status_code in (204, 404)


def found(service: LiveService, picture: bytes) -> list[str]:
    with client_of(service) as client:
        answer = client.post("/api/v1/faces/search/", files={"image": ("face.jpg", picture, "image/jpeg")})
    return [match["subject_id"] for match in answer.json()["matches"]]


def templates(service: LiveService, name: str) -> int:
    answer = service.get(f"/api/v1/subjects/{name}/")
    return int(answer.json()["templates"]) if answer.status_code == 200 else 0


def recorded(service: LiveService, number: int) -> list[str]:
    """The people of the latest enrolments in the audit trail, by the id of the request."""
    items = service.get(f"/api/v1/audit/?kind=enrolled&limit={number}").json()["items"]
    return [item["request_id"].removeprefix("enrol-") for item in items]


def chain_holds(place: Place) -> None:
    url = "" if place.database is None else place.database.url
    own = {"FACE_DATA_DIR": str(place.service.data_dir), "DATABASE_URL": url}
    environment = {**os.environ, **own, "DJANGO_SETTINGS_MODULE": "face_app.settings"}
    manage = str(REPOSITORY / "face_recognition_app" / "manage.py")
    checked = subprocess.run([sys.executable, manage, "verify_audit"], env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def client_of(service: LiveService) -> httpx.Client:
    """A connection of its own, so that any worker answers."""
    key = {"Authorization": f"Bearer {service.api_key}"}
    return loopback.blocking_client(base_url=service.base_url, timeout=PATIENCE_S, headers=key)
