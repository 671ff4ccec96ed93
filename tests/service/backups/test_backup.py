"""A backup that is taken under load, and the service that is begun with it somewhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from testkit import loopback
from testkit.clips import GRID_CLIPS, encode_jpeg, read_clip
from testkit.patience import PATIENCE_S
from testkit.servers import database_server
from testkit.service import LiveService, running_service
from tests.backup.support import Installation
from tests.conftest import needs_shared_data

pytestmark = needs_shared_data
TEMPLATES = "/api/v1/subjects/{}/templates/"


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    enrolled: bytes
    later: bytes


@dataclass(frozen=True, slots=True)
class Client:
    http: httpx.Client

    def enrol(self, person: Person) -> None:
        answer = self.http.post(
            TEMPLATES.format(person.name),
            params={"replace": "true"},
            files={"images": ("face.jpg", person.enrolled, "image/jpeg")},
        )
        assert answer.status_code == 201, answer.text

    def found(self, person: Person) -> list[str]:
        answer = self.http.post("/api/v1/faces/search/", files={"image": ("face.jpg", person.later, "image/jpeg")})
        assert answer.status_code == 200, answer.text
        return [match["subject_id"] for match in answer.json()["matches"]]

    def create(self, name: str) -> None:
        answer = self.http.post("/api/v1/subjects/", json={"subject_id": name})
        assert answer.status_code == 201, answer.text

    def status_of(self, name: str) -> int:
        return self.http.get(f"/api/v1/subjects/{name}/").status_code

    def erase(self, name: str) -> None:
        assert self.http.delete(f"/api/v1/subjects/{name}/").status_code == 204


@contextmanager
def client_of(service: LiveService) -> Iterator[Client]:
    headers = {"authorization": f"Bearer {service.api_key}"}
    with loopback.blocking_client(base_url=service.base_url, headers=headers, timeout=PATIENCE_S) as http:
        yield Client(http)


def people() -> list[Person]:
    clips = [clip for clip in GRID_CLIPS if clip.name == clip.speaker]
    frames = {clip.speaker: read_clip(clip.path, 0, 40) for clip in clips}
    return [Person(name, encode_jpeg(seen[0]), encode_jpeg(seen[35])) for name, seen in frames.items()]


@contextmanager
def load(service: LiveService, person: Person) -> Iterator[list[str]]:
    """Clients that add people and enrol one anew, again and again until the block ends. The list has those who were
    answered for so far."""
    answered: list[str] = []
    over, failed = threading.Event(), []

    def run(number: int) -> None:
        turn = 0
        try:
            with client_of(service) as client:
                while not over.is_set():
                    client.create(f"load-{number}-{turn}")
                    answered.append(f"load-{number}-{turn}")
                    client.enrol(person)
                    turn += 1
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not failed, failed


def prepared(client: Client, everybody: Sequence[Person]) -> None:
    """Everybody is enrolled, and the last one is erased."""
    for person in everybody:
        client.enrol(person)
    client.erase(everybody[-1].name)


def running(one: Installation) -> AbstractContextManager[LiveService]:
    return running_service(one.data_dir.parent, workers=2, pool_size=1, environment=one.variables)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_who_was_enrolled_before_a_backup_is_found_after_its_restore(database: str, tmp_path: Path) -> None:
    *kept, replaced, erased = everybody = people()
    file = tmp_path / "file"
    with ExitStack() as stack:
        old_url, new_url = (stack.enter_context(database_server(database)) for _ in range(2))
        (tmp_path / "old").mkdir()
        (tmp_path / "new").mkdir()
        old = Installation(tmp_path / "old" / "var", {"DATABASE_URL": old_url})
        new = Installation(tmp_path / "new" / "var", {"DATABASE_URL": new_url})
        with running(old) as service, client_of(service) as client:
            prepared(client, everybody)
            with load(service, replaced) as answered:
                while len(answered) < 10:
                    threading.Event().wait(0.05)
                before = list(answered)
                old.manage("backup", file)
                during = len(answered) - len(before)
            assert during > 0, "the load went on while the backup was made"
            assert "other processes are connected" in old.refused("restore", file, "--force")
            client.create("after")
            key = service.api_key
        new.manage("restore", file)
        assert "are whole" in new.manage("verify_audit")
        with running(new) as service, client_of(service) as client:
            assert service.api_key == key
            for person in (*kept, replaced):
                assert client.found(person) == [person.name]
            assert client.found(erased) == []
            assert {client.status_of(name) for name in before} == {200}
            assert [client.status_of(name) for name in ("after", erased.name)] == [404, 404]
            client.enrol(erased)
            client.create("after")
            assert client.found(erased) == [erased.name]
            new.manage("verify_audit")
