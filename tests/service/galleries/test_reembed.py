"""manage.py reembed moves a gallery while a service with both embedders enrols and finds its people."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testkit import loopback
from testkit.clips import GRID_CLIPS, astronaut, encode_jpeg, grace_hopper, read_clip
from testkit.other_network import write_other_network
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, running_service
from testkit.stream_client import ServiceClient, play
from tests.conftest import needs_shared_data
from weights.catalogue import digest_of

pytestmark = needs_shared_data
KILLS = 6
"""Of the command on a running service; tests/gallery/reembedding kills the move itself twenty times."""


@dataclass(frozen=True, slots=True)
class Person:
    """A real face: how it is enrolled, and how it looks later."""

    name: str
    enrolled: bytes
    later: Sequence[bytes]


def people() -> list[Person]:
    clips = {clip.speaker: clip for clip in GRID_CLIPS if clip.name == clip.speaker}
    speakers = [
        Person(name, encode_jpeg(frames[0]), [encode_jpeg(frame) for frame in frames[30:]])
        for name, clip in clips.items()
        for frames in [read_clip(clip.path, 0, 75)]
    ]
    stills = [("alice", astronaut()), ("grace", grace_hopper())]
    return [*speakers, *(Person(name, encode_jpeg(rgb), [encode_jpeg(rgb, 70)] * 10) for name, rgb in stills)]


@dataclass(slots=True)
class Clients:
    """Clients of the service that go on until they are told to stop. A refusal that says when to come again is kept to;
    whatever else is not as it should be ends the test."""

    service: LiveService
    retried: int = 0
    done: dict[str, int] = field(default_factory=dict)

    async def post(self, http: httpx.AsyncClient, path: str, field_name: str, picture: bytes, status: int) -> Any:
        for _ in range(10):
            answer = await http.post(path, files={field_name: ("face.jpg", picture, "image/jpeg")})
            if answer.status_code != 503:
                break
            self.retried += 1
            assert answer.json()["error"]["details"]["retry_after_ms"] <= 2_000
            await asyncio.sleep(0.1)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def search(self, http: httpx.AsyncClient, person: Person) -> None:
        found = await self.post(http, "/api/v1/faces/search/", "image", person.later[0], 200)
        assert [match["subject_id"] for match in found["matches"]] == [person.name]

    async def enrol(self, http: httpx.AsyncClient, person: Person) -> None:
        path = f"/api/v1/subjects/{person.name}/templates/?replace=true"
        await self.post(http, path, "images", person.enrolled, 201)

    def enrol_more(self, person: Person) -> None:
        """Give the person as many templates that the move takes a while."""
        pictures = [("images", ("face.jpg", person.later[number % 10], "image/jpeg")) for number in range(10)]
        path = f"{self.service.base_url}/api/v1/subjects/{person.name}/templates/"
        headers = {"authorization": f"Bearer {self.service.api_key}"}
        answer = loopback.post(path, files=pictures, headers=headers, timeout=PATIENCE_S)
        assert answer.status_code == 201, answer.text

    async def identify(self, client: ServiceClient, person: Person) -> None:
        session = await client.create_session("identification", liveness="none")
        result = await play(session.websocket_url, person.later, timeout_s=PATIENCE_S)
        assert result.completed is not None, result.messages
        assert (result.completed["success"], result.completed["subject_id"]) == (True, person.name)

    async def enrol_by_session(self, client: ServiceClient, person: Person) -> None:
        session = await client.create_session("enrollment", person.name, "none", target_samples=1)
        result = await play(session.websocket_url, person.later, timeout_s=PATIENCE_S)
        assert result.completed is not None, result.messages
        assert result.completed["success"], result.completed

    @asynccontextmanager
    async def going_on(self, everybody: Sequence[Person]) -> AsyncIterator[None]:
        """Search, identify and enrol everybody again and again within the block, and at least once more after it."""
        ending = asyncio.Event()

        async def again(name: str, act: Callable[[Person], Awaitable[None]], chosen: Sequence[Person]) -> None:
            last = False
            while not last:
                last = ending.is_set()
                for person in chosen:
                    await act(person)
                    self.done[name] = self.done.get(name, 0) + 1

        headers = {"authorization": f"Bearer {self.service.api_key}"}
        async with (
            loopback.client(base_url=self.service.base_url, headers=headers, timeout=PATIENCE_S) as http,
            self.service.client() as client,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(again("searches", lambda person: self.search(http, person), everybody))
            tasks.create_task(again("identifications", lambda person: self.identify(client, person), everybody))
            tasks.create_task(again("enrolments", lambda person: self.enrol(http, person), everybody[:2]))
            yield
            ending.set()


def command(service: LiveService, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    line = [sys.executable, str(REPOSITORY / "face_recognition_app" / "manage.py"), *arguments]
    environment = {**os.environ, "FACE_DATA_DIR": str(service.data_dir), "GUNICORN_LOG_LEVEL": "warning", **variables}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_by(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    return out


def run_service(directory: Path, **variables: str) -> Any:
    generous = {"FACE_IDENTIFICATION_FAILURES_PER_MIN": "10000"}
    return running_service(directory, workers=2, pool_size=1, environment={**generous, **variables})


async def kill_at_random(service: LiveService, both: dict[str, str]) -> int:
    """Kill the command again and again, each time later. Returns how often it was still at it."""
    began = time.monotonic()
    await asyncio.to_thread(told_by, command(service, "reembed", "--help"))
    starting_s, choice, killed = time.monotonic() - began, random.Random(15), 0
    for moment in sorted(choice.uniform(0.5, 3) for _ in range(KILLS)):
        process = command(service, "reembed", **both)
        await asyncio.sleep(moment * starting_s)
        process.kill()
        await asyncio.to_thread(process.communicate)
        killed += process.returncode == -signal.SIGKILL
    return killed


async def test_a_gallery_moves_to_another_embedder_online(tmp_path: Path) -> None:
    everybody = people()
    pinned = Path(os.environ.get("FACE_MODEL_DIR", REPOSITORY / "var" / "models")) / "fr_feature.onnx"
    network = write_other_network(pinned, tmp_path / "other.onnx")
    new = digest_of(network)[:16]
    both = {"FACE_EMBEDDER": str(network), "FACE_FORMER_EMBEDDER": "pinned"}
    with run_service(tmp_path) as service:
        told_by(command(service, "set_policy", "demo", "--keep-pictures", "30"))
        clients = Clients(service)
        async with service.client() as client:
            for person in everybody:
                await clients.enrol_by_session(client, person)
                await asyncio.to_thread(clients.enrol_more, person)
    with run_service(tmp_path, **both) as service:
        clients = Clients(service)
        async with clients.going_on(everybody):
            await asyncio.sleep(1)
            assert await kill_at_random(service, both)
            told = await asyncio.to_thread(told_by, command(service, "reembed", "--json", **both))
            await asyncio.sleep(1)
        moved = json.loads(told)
        assert [(one["tenant"], one["model_id"], one["erased"]) for one in moved] in ([], [("demo", new, 0)])
        assert min(clients.done.values()) > len(everybody), clients.done
        assert "already" in told_by(command(service, "reembed", **both))
    with run_service(tmp_path, FACE_EMBEDDER=str(network)) as service:
        clients = Clients(service)
        async with clients.going_on(everybody):
            pass
    assert "Traceback" not in service.log.read_text()
