"""Settings of the server, as its clients and the system see them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command, running_service
from testkit.stream_client import play

APPLICATION = REPOSITORY / "face_recognition_app"
BIN = Path(sys.executable).parent
BACKLOG, CONNECTIONS = 100, 2
HEALTH = b"GET /api/health/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    environment = {
        "GUNICORN_KEEPALIVE": "1",
        "GUNICORN_BACKLOG": f"{BACKLOG}",
        "WORKER_CONNECTIONS": f"{CONNECTIONS}",
        "API_WORKERS": "5",
    }
    directory = tmp_path_factory.mktemp("settings")
    with running_service(directory, workers=1, pool_size=2, environment=environment) as service:
        yield service


def test_flags_beat_variables_and_reach_the_worker(service: LiveService) -> None:
    [worker] = psutil.Process(service.pid).children()
    environment = worker.environ()
    assert (environment["GUNICORN_WORKERS"], environment["FACE_MESH_POOL_SIZE"]) == ("1", "2")
    assert service.get("/api/pool/status/").json()["max_size"] == 2


def test_ps_and_the_status_agree_on_the_threads(service: LiveService) -> None:
    [worker] = service.get("/api/pool/status/").json()["workers"]
    listed = subprocess.run(["ps", "-eo", "pid,nlwp,cmd"], capture_output=True, text=True, check=True).stdout
    [line] = [line.split() for line in listed.splitlines() if line.split()[0] == f"{worker['pid']}"]
    assert int(line[1]) == worker["threads"]


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss of iproute2 is not here")
def test_the_system_has_the_backlog(service: LiveService) -> None:
    port = service.base_url.rpartition(":")[2]
    listed = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    _state, _waiting, backlog, *_ = listed.split()
    assert int(backlog) == BACKLOG


def test_a_connection_is_kept_for_the_next_request_and_closed_when_idle(service: LiveService) -> None:
    port = int(service.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        for _ in range(2):
            connection.sendall(HEALTH)
            answer = b""
            while not answer.endswith(b"}"):  # Head and body may come one after the other.
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
        assert connection.recv(65_536) == b"", "closed after a second, long before the 65 s of the default"


async def test_a_socket_more_than_allowed_is_refused(service: LiveService) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_{}/"
    async with AsyncExitStack() as stack:
        for number in range(CONNECTIONS):
            opened = await stack.enter_async_context(connect(address.format(number)))
            assert json.loads(await opened.recv())["type"] == "connection_established"
        refused = await stack.enter_async_context(connect(address.format("more")))
        assert json.loads(await refused.recv())["type"] == "error"
        with pytest.raises(ConnectionClosed):
            await refused.recv()
        assert refused.close_code == 1013


def test_each_instance_has_a_control_socket_of_its_own(service: LiveService) -> None:
    control = service.data_dir / "run" / "gunicorn.ctl"
    command = [str(BIN / "gunicornc"), "--socket", str(control), "--json", "--command", "show workers"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    [worker] = psutil.Process(service.pid).children()
    assert f"{worker.pid}" in told


async def test_a_preloaded_application_serves_and_a_level_leaves_lines_out(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "face_app.asgi:application", "-c", "gunicorn_config.py"]
    environment = {"PRELOAD_APP": "true", "GUNICORN_LOG_LEVEL": "warning", "FACE_MESH_POOL_SIZE": "1"}
    command += ["-w", "1", "-b", f"127.0.0.1:{port}"]
    with running_command(command, port, tmp_path, APPLICATION, environment) as service:
        assert await looks_at_a_frame(service)
        log = service.log.read_text()
    assert "lifecycle" not in log
    assert "Booting worker" not in log


async def looks_at_a_frame(service: LiveService) -> bool:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_settings/"
    result = await play(address, [encode_jpeg(astronaut())], linger_s=0.2)
    return bool(result.messages[1]["type"] == "frame_processed")
