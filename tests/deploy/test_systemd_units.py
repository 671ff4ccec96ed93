"""The units of systemd: it understands them, they are as hard as the documents say, and what they start serves.

Nothing here runs systemd itself: it would act on the machine that it is tested on.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from config.job_settings import JobSettings
from config.settings import Settings
from server.graceful_exit import stop_timeout_s
from testkit import loopback
from testkit.environment import clean_environment
from testkit.patience import PATIENCE_S
from testkit.servers import redis_server
from testkit.service import REPOSITORY, free_port

API = REPOSITORY / "face_recognition_app" / "face-service.service"
SYSTEMD = REPOSITORY / "deploy" / "systemd"
SERVICES = [API, SYSTEMD / "face-jobs@.service", SYSTEMD / "face-scheduler.service"]
NAMES = [unit.name for unit in SERVICES]
DOCUMENT = REPOSITORY / "docs" / "operations" / "service.md"
PLACE = "/opt/face-service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def lines(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.M)


def hardening(unit: Path) -> str:
    text = unit.read_text()
    return text[text.index("UMask=") : text.index("[Install]")]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be on a machine where the project lies here."""
    for unit in (*SERVICES, SYSTEMD / "face.target"):
        text = unit.read_text().replace(PLACE, str(REPOSITORY))
        (tmp_path / unit.name.replace("@.", "@high.")).write_text(text)
    return tmp_path


@needs_systemd
def test_systemd_understands_them(installed: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, sorted(installed.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if "face" in line]
    assert (done.returncode, told) == (0, []), done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=NAMES)
def test_they_are_as_hard_as_the_document_says(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert score is not None, done.stderr
    assert done.returncode == 0, "the exposure is above 1.5"
    assert f"exposure {score.group(1)} of 10" in " ".join(DOCUMENT.read_text().split())


def test_all_are_hardened_alike() -> None:
    assert len({hardening(unit) for unit in SERVICES}) == 1


def test_all_belong_to_the_target() -> None:
    for unit in SERVICES:
        assert lines(unit, "PartOf") == lines(unit, "WantedBy") == lines(unit, "Also") == ["face.target"]
    assert lines(SYSTEMD / "face.target", "WantedBy") == ["multi-user.target"]


def test_they_set_variables_that_there_are() -> None:
    known = {field.alias for fields in (Settings, JobSettings) for field in fields.model_fields.values()}
    for unit in SERVICES:
        assert {line.partition("=")[0] for line in lines(unit, "Environment")} <= known


def test_they_wait_for_the_drain_of_the_default() -> None:
    """Another one is asked for when the service ends, as the next test sees."""
    default = float(Settings.model_fields["drain_s"].default)
    assert int(lines(API, "TimeoutStopSec")[0]) >= stop_timeout_s(default)
    for unit in SERVICES[1:]:
        assert int(lines(unit, "TimeoutStopSec")[0]) > JobSettings().stop_after_s


@dataclass(slots=True)
class Unit:
    """A unit's process, and what it has told its manager."""

    process: subprocess.Popen[bytes]
    receiver: socket.socket
    told: list[str]

    def until(self, line: str) -> None:
        deadline = time.monotonic() + 2 * PATIENCE_S
        while line not in self.told:
            assert time.monotonic() < deadline, f"not told: {line}"
            assert self.process.poll() is None, "it has ended"
            self.listen()

    def listen(self) -> None:
        try:
            self.told += self.receiver.recv(4096).decode().splitlines()
        except TimeoutError:
            return


@contextmanager
def started(unit: Path, directory: Path, **variables: str) -> Iterator[Unit]:
    """Run ExecStartPre and ExecStart of a unit as its manager would, with directories of its own."""
    own = {
        "FACE_DATA_DIR": str(directory / "data"),
        "FACE_RUN_DIR": str(directory / "run"),
        "FACE_MODEL_DIR": os.environ.get("FACE_MODEL_DIR", str(REPOSITORY / "var" / "models")),
    }
    for name in ("data", "run"):  # As StateDirectory and RuntimeDirectory do.
        (directory / name).mkdir()
    of_unit = dict(line.split("=", 1) for line in lines(unit, "Environment"))
    clean = clean_environment()
    clean.pop("PYTHONPATH", None)
    (python,) = {shlex.split(command)[0] for command in lines(unit, "ExecStart(?:Pre)?")}
    assert python == f"{PLACE}/.venv/bin/python"

    def command(name: str) -> list[str]:
        return [sys.executable, *shlex.split(lines(unit, name)[0])[1:]]

    place = Path(lines(unit, "WorkingDirectory")[0].replace(PLACE, str(REPOSITORY)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0unit-of-tests-{os.getpid()}")
        receiver.settimeout(0.5)
        manager = {"NOTIFY_SOCKET": f"@unit-of-tests-{os.getpid()}", "WATCHDOG_USEC": "3000000"}
        environment = {**clean, **of_unit, **own, **variables, **manager}
        subprocess.run(command("ExecStartPre"), cwd=place, env=environment, check=True, timeout=4 * PATIENCE_S)
        process = subprocess.Popen(command("ExecStart"), cwd=place, env=environment)
        try:
            yield Unit(process, receiver, [])
        finally:
            process.kill()
            process.wait()


PRODUCTION = {
    "APP_ENV": "production",
    "FACE_SECRET_KEY": "only for tests, and long enough for production",
    "FACE_PUBLIC_URL": "https://face.example",
}


def test_the_service_is_ready_after_its_warm_up_and_alive_while_it_serves(tmp_path: Path) -> None:
    port = free_port()
    own = {"GUNICORN_BIND": f"127.0.0.1:{port}", "GUNICORN_WORKERS": "2", "FACE_MESH_POOL_SIZE": "1"}
    drain_s = 40.0
    with started(API, tmp_path, **PRODUCTION, **own, FACE_DRAIN_S=f"{drain_s:g}") as unit:
        unit.until("READY=1")
        assert unit.told.index("READY=1") > unit.told.index("STATUS=2 of 2 workers are ready")
        assert loopback.get(f"http://127.0.0.1:{port}/api/ready/", timeout=PATIENCE_S).status_code == 200
        unit.until("WATCHDOG=1")
        unit.told.clear()
        (reload,) = lines(API, "ExecReload")
        subprocess.run(shlex.split(reload.replace("$MAINPID", str(unit.process.pid))), check=True)
        unit.until("STATUS=2 of 2 workers are ready")
        assert "READY=1" not in unit.told
        unit.process.send_signal(signal.SIGTERM)
        unit.until(f"EXTEND_TIMEOUT_USEC={stop_timeout_s(drain_s) * 1_000_000}")
        assert unit.process.wait(PATIENCE_S) == 0


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with redis_server(tmp_path) as url:
        yield url


@pytest.mark.parametrize("unit", SERVICES[1:], ids=NAMES[1:])
def test_what_has_to_do_with_jobs_runs_and_ends(unit: Path, tmp_path: Path, redis_url: str) -> None:
    bind = f"127.0.0.1:{free_port()}"
    own = {"REDIS_URL": redis_url, "WORKER_CONCURRENCY": "1", "JOB_METRICS_BIND": bind}
    with started(unit, tmp_path, **PRODUCTION, **own) as running:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(f"http://{bind}/health"):
            assert running.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        running.process.send_signal(signal.SIGTERM)
        # systemd counts both as a clean end; the second is that of a worker that has not taken a job yet.
        assert running.process.wait(PATIENCE_S) in (0, -signal.SIGTERM)


def answers(url: str) -> bool:
    try:
        return bool(loopback.get(url, timeout=5).status_code == 200)
    except httpx.TransportError:
        return False


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not installed")
def test_logs_are_rotated_and_written_on(tmp_path: Path) -> None:
    log = tmp_path / "log" / "service.log"
    log.parent.mkdir(mode=0o750)
    text = (SYSTEMD / "face-service.logrotate").read_text().replace("/var/lib/face-service", str(tmp_path))
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(re.sub(r"^\s*su .*\n", "", text, flags=re.M))
    with log.open("ab", buffering=0) as writer:
        for turn in range(7):
            writer.write(f"turn {turn}\n".encode())
            state = ["--state", str(tmp_path / "state"), str(configuration)]
            subprocess.run(["logrotate", "--force", *state], check=True, timeout=60)
        writer.write(b"after all\n")
    assert log.read_bytes() == b"after all\n"
    assert len(list(log.parent.glob("service.log.*"))) == 5


def test_the_firewall_lets_in_clients_alone() -> None:
    script = REPOSITORY / "deploy" / "firewall.sh"
    done = subprocess.run([script, "--dry-run", "--port", "443"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["ufw allow 443/tcp", "ufw deny 5432/tcp", "ufw deny 6379/tcp"]
    wrong = subprocess.run([script, "--port", "0"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "1 to 65535" in wrong.stderr) == (2, True)
