"""A disk without room costs what must be written, and nothing else; with room again everything is as before."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
from websockets.sync.client import ClientConnection, connect

from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.disks import fill, needs_small_disks, seen_by, with_small_disk
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command

pytestmark = needs_small_disks

WORKERS = 2
MAX_WRITTEN = 500
FACE = encode_jpeg(astronaut())


@contextmanager
def service_on_small_disk(directory: Path, disk: Path, size: str, **environment: str) -> Iterator[LiveService]:
    disk.mkdir()
    port = free_port()
    script = str(REPOSITORY / "run_gunicorn.sh")
    flags = ["--workers", str(WORKERS), "--pool-size", "1", "--bind", f"127.0.0.1:{port}"]
    command = with_small_disk(disk, size, [script, *flags])
    with running_command(command, port, directory, Path("/"), environment) as service:
        key = seen_by(service.pid, service.data_dir / "demo-api-key").read_text()
        yield replace(service, api_key=key)


def test_a_full_data_directory_costs_only_what_is_written(tmp_path: Path) -> None:
    with service_on_small_disk(tmp_path, tmp_path / "var", "16m") as service:
        assert enrol(service, "before").status_code == 201
        filler = fill(seen_by(service.pid, service.data_dir))
        assert until_components(service, data_dir="unavailable", run_dir="unavailable") == 503
        refused = written_until_refused(service)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert refused.json()["error"]["details"]["retry_after_ms"] > 0
        assert int(refused.headers["retry-after"]) > 0
        assert_no_read_goes_unrecorded(service)
        replace_every_worker(service)
        assert_no_read_goes_unrecorded(service)
        assert service.get("/metrics").status_code == 200
        filler.unlink()
        assert until_components(service, data_dir="ok", run_dir="ok") == 200
        assert matches(service) == ["before"]
        until(lambda: named(service) == workers(service), "the status names every worker")
        assert write(service, "after").status_code == 201
        assert service.get("/api/v1/subjects/before/").json()["templates"] == 1
        assert "SIGBUS" not in service.log.read_text()


def test_a_full_run_directory_costs_only_what_workers_tell_each_other(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with service_on_run_disk(tmp_path, run_dir) as service:
        filler = fill(seen_by(service.pid, run_dir))
        assert until_components(service, data_dir="ok", run_dir="unavailable") == 503
        replace_every_worker(service)
        assert enrol(service, "while-full").status_code == 201
        assert matches(service) == ["while-full"]
        assert service.get("/api/pool/status/").status_code == 200
        assert service.metric("face_frames_total") == 0
        filler.unlink()
        assert until_components(service, data_dir="ok", run_dir="ok") == 200
        until(lambda: named(service) == workers(service), "the status names every worker")
        with connect(f"{service.base_url.replace('http', 'ws')}/ws/auth/process-image/test_1/") as socket:
            until(lambda: frame(socket) and service.metric("face_frames_total") > 0, "frames are told again")
        assert "SIGBUS" not in service.log.read_text()


@contextmanager
def service_on_run_disk(directory: Path, run_dir: Path) -> Iterator[LiveService]:
    """Only the run files are on the small disk."""
    with service_on_small_disk(directory, run_dir, "2m", FACE_RUN_DIR=str(run_dir)) as service:
        yield service


def enrol(service: LiveService, subject: str) -> httpx.Response:
    return post(service, f"/api/v1/subjects/{subject}/templates/", "images")


def matches(service: LiveService) -> list[str]:
    found = post(service, "/api/v1/faces/search/", "image")
    assert found.status_code == 200, found.text
    return [match["subject_id"] for match in found.json()["matches"]]


def assert_no_read_goes_unrecorded(service: LiveService) -> None:
    """A search tells who somebody is, so it waits until the audit trail can be written."""
    refused = post(service, "/api/v1/faces/search/", "image")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")


def post(service: LiveService, path: str, field: str) -> httpx.Response:
    return loopback.post(
        service.base_url + path,
        files={field: ("face.jpg", FACE, "image/jpeg")},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=60,
    )


def replace_every_worker(service: LiveService) -> None:
    """Kill one after the other; the next only when another serves in the place of the last."""
    for victim in workers(service):
        before = workers(service)
        os.kill(victim, signal.SIGKILL)
        until(lambda before=before: bool(serving(service) - before), "a worker serves in its place")  # type: ignore[misc]


def workers(service: LiveService) -> set[int]:
    return {worker.pid for worker in psutil.Process(service.pid).children()}


def serving(service: LiveService) -> set[int]:
    """Some of the workers that answer: each connection goes to any of them."""
    return {service.get("/api/health/").json()["pid"] for _ in range(8)}


def named(service: LiveService) -> set[int]:
    return {worker["pid"] for worker in service.get("/api/pool/status/").json()["workers"]}


def write(service: LiveService, subject: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    return loopback.post(
        f"{service.base_url}/api/v1/subjects/", json={"subject_id": subject}, headers=headers, timeout=60
    )


def written_until_refused(service: LiveService) -> httpx.Response:
    """The answer that says that the disk is full: the database's own files have some room left."""
    for number in range(MAX_WRITTEN):
        written = write(service, f"full-{number}")
        if written.status_code != 201:
            return written
    raise AssertionError("the disk is not full")


def frame(socket: ClientConnection) -> bool:
    """One more frame has been answered."""
    socket.send(FACE)
    while json.loads(socket.recv(PATIENCE_S))["type"] != "frame_processed":
        pass
    return True


def until_components(service: LiveService, **expected: str) -> int:
    """Wait until readiness says so; its status."""
    answers: list[httpx.Response] = []

    def says_so() -> bool:
        answers.append(service.get("/api/ready/"))
        components = answers[-1].json()["components"]
        return all(components.get(name) == state for name, state in expected.items())

    until(says_so, f"readiness says {expected}")
    return answers[-1].status_code


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx.TransportError:  # It was on its way to the worker that was killed.
            pass
        time.sleep(0.1)
    raise AssertionError(f"never came true: {what}")
