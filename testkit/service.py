"""Starts the service through its script, as a user would, in its own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.stream_client import ServiceClient

REPOSITORY = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 2 * PATIENCE_S
STOP_TIMEOUT_S = PATIENCE_S


@dataclass(frozen=True, slots=True)
class LiveService:
    base_url: str
    api_key: str
    data_dir: Path
    pid: int
    log: Path = field(repr=False)

    def client(self) -> ServiceClient:
        return ServiceClient(self.base_url, self.api_key, timeout_s=PATIENCE_S)

    def get(self, path: str) -> httpx.Response:
        # What else is installed would decide which forms httpx accepts.
        headers = {"Authorization": f"Bearer {self.api_key}", "Accept-Encoding": "gzip"}
        return loopback.get(self.base_url + path, headers=headers, timeout=PATIENCE_S)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have the labels, by all workers together."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if sample.labels.items() >= labels.items())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(
    directory: Path, *, workers: int, pool_size: int, environment: dict[str, str] | None = None
) -> Iterator[LiveService]:
    """Run `run_gunicorn.sh` on a free port until the block ends; enters it when every worker is ready."""
    port = free_port()
    script = str(REPOSITORY / "run_gunicorn.sh")
    flags = ["--workers", str(workers), "--pool-size", str(pool_size), "--bind", f"127.0.0.1:{port}"]
    with running_command([script, *flags], port, directory, Path("/"), environment) as service:
        _wait_for_workers(workers, service.log)
        yield service


@contextmanager
def temporary_service(
    *, workers: int, pool_size: int, environment: dict[str, str] | None = None
) -> Iterator[LiveService]:
    """Do as `running_service`, in a directory that is deleted at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="service-") as directory,
        running_service(Path(directory), workers=workers, pool_size=pool_size, environment=environment) as service,
    ):
        yield service


@contextmanager
def running_command(
    command: list[str], port: int, directory: Path, cwd: Path, environment: dict[str, str] | None = None
) -> Iterator[LiveService]:
    """Run a command that serves on `port` of the loopback device until the block ends, with its own data directory."""
    log = directory / "service.log"
    # No job worker, unless a test asks for one: it would share the cores with what is tested.
    own = {"FACE_DATA_DIR": str(directory / "var"), "ENABLE_BACKGROUND_TASKS": "false"}
    variables = {**os.environ, **own, **(environment or {})}
    for name in ("GUNICORN_WORKERS", "GUNICORN_BIND", "FACE_MESH_POOL_SIZE", "DJANGO_SETTINGS_MODULE"):
        variables.pop(name, None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=variables, cwd=cwd, start_new_session=True
        )
    try:
        base_url = f"http://127.0.0.1:{port}"
        _wait_until_ready(base_url, process, log)
        key_file = directory / "var" / "demo-api-key"
        key = key_file.read_text() if key_file.exists() else ""
        yield LiveService(base_url, key, directory / "var", process.pid, log)
    finally:
        _stop(process)


def _wait_until_ready(base_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the service ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        try:
            if loopback.get(f"{base_url}/api/ready/", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the service was not ready in time:\n{log.read_text()[-4000:]}")


def _wait_for_workers(workers: int, log: Path) -> None:
    """Wait until each worker has logged that it is ready; health already answers with the first one."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if log.read_text().count("worker ready in") >= workers:
            return
        time.sleep(0.2)
    raise AssertionError(f"not all of {workers} workers were ready in time:\n{log.read_text()[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
