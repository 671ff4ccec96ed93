"""A new release is served after a reload, and nobody who asks meanwhile gets no answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, free_port, running_command

RELEASE = """
from face_app.asgi import application as served

async def application(scope, receive, send):
    if scope["type"] != "http" or scope["path"] != "/release":
        await served(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%s"})
"""


async def test_a_new_version_is_served_after_a_reload_without_a_gap(tmp_path: Path) -> None:
    module = tmp_path / "release.py"
    module.write_text(RELEASE % "1.0")
    port = free_port()
    command = [sys.executable, "-B", "-m", "gunicorn", "release:application", "-c", "gunicorn_config.py", "-w", "1"]
    environment = {"PYTHONPATH": f"{tmp_path}", "FACE_MESH_POOL_SIZE": "1", "FACE_DRAIN_S": "1"}
    with running_command(
        [*command, "-b", f"127.0.0.1:{port}"], port, tmp_path, REPOSITORY / "face_recognition_app", environment
    ) as service:
        versions: list[str] = []
        async with loopback.client(base_url=service.base_url, timeout=PATIENCE_S) as client:
            async with asyncio.timeout(2 * PATIENCE_S):
                while versions[-1:] != ["2.0"]:
                    versions.append((await client.get("/release", headers={"connection": "close"})).text)
                    if len(versions) == 1:
                        module.write_text(RELEASE % "2.0")
                        os.kill(service.pid, signal.SIGHUP)
    assert set(versions) == {"1.0", "2.0"}
