"""Every way to start that is promised, on an empty data directory."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from testkit.clips import astronaut, encode_jpeg
from testkit.service import REPOSITORY, LiveService, free_port, running_command
from testkit.stream_client import Message, play

APPLICATION = REPOSITORY / "face_recognition_app"
BIN = Path(sys.executable).parent
COMMANDS = {
    "gunicorn": [str(BIN / "gunicorn"), "face_app.asgi:application", "-c", "gunicorn_config.py", "-w", "1", "-b"],
    "uvicorn": [str(BIN / "uvicorn"), "face_app.asgi:application", "--port"],
    "runserver": [sys.executable, "manage.py", "runserver", "--noreload"],
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_it_serves(tmp_path: Path, name: str) -> None:
    port = free_port()
    address = str(port) if name == "uvicorn" else f"127.0.0.1:{port}"
    with running_command([*COMMANDS[name], address], port, tmp_path, APPLICATION) as service:
        result = await play(_sandbox(service), [encode_jpeg(astronaut())], linger_s=0.2)
        assert result.messages[1]["type"] == "frame_processed"
        assert result.messages[1]["face"] is not None
        page = service.get("/")
        script = service.get("/" + re.findall(r'src="(static/demo/app\.[0-9a-f]{12}\.js)"', page.text)[0])
        assert (script.status_code, script.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in script.headers["cache-control"]
        assert service.get("/api/v1/subjects/").status_code == 200
        assert service.get("/api/pool/status/").json()["status"] == "ok"
    log = service.log.read_text()
    assert "/ws/auth/process-image/test_start/" not in log, "a token is in the log"
    assert ("lifecycle on_exit: the service ends" in log) == (name == "gunicorn")


async def test_a_reload_tells_the_client_before_it_closes(live_service: LiveService) -> None:
    streaming = asyncio.Event()

    def listen(message: Message) -> None:
        if message["type"] == "frame_processed":
            streaming.set()

    frames = [encode_jpeg(astronaut())] * 600  # The old worker serves until the new one is ready, however long.
    stream = asyncio.create_task(play(_sandbox(live_service), frames, fps=10, on_message=listen))
    await streaming.wait()
    os.kill(live_service.pid, signal.SIGHUP)
    result = await stream
    assert result.close_code == 1012
    assert result.messages[-1]["type"] == "server_draining"
    assert result.messages[-1]["reconnect_after_ms"] > 0
    await _ready_again(live_service)


async def _ready_again(service: LiveService) -> None:
    for _ in range(600):
        status = service.get("/api/pool/status/").json()
        if len(status["workers"]) == 2 and status["available"] == status["max_size"] == 4:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the service did not come back after the reload")


def _sandbox(service: LiveService) -> str:
    return service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_start/"
