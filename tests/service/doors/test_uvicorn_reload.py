"""Uvicorn with --reload, as a developer runs it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import httpx

from config.service import service_settings
from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command
from tests.service.doors.test_server_settings import APPLICATION, BIN, looks_at_a_frame


async def test_what_was_changed_is_served(tmp_path: Path) -> None:
    """With a copy of the application, so that nobody else sees the change."""
    copy = tmp_path / "face_recognition_app"
    shutil.copytree(APPLICATION, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    port = free_port()
    command = [
        str(BIN / "uvicorn"),
        "face_app.asgi:application",
        "--reload",
        "--host",
        "127.0.0.1",
        "--port",
        f"{port}",
    ]
    environment = {"PYTHONPATH": "", "FACE_MESH_POOL_SIZE": "1", "FACE_MODEL_DIR": str(service_settings().model_dir)}
    with running_command(command, port, tmp_path, copy, environment) as service:
        before = service.get("/api/health/").json()["pid"]
        probes = copy / "web" / "probes.py"
        probes.write_text(probes.read_text().replace('"status": "ok"', '"status": "changed"'))
        wait_for_the_change(service)
        assert service.get("/api/health/").json()["pid"] != before
        assert await looks_at_a_frame(service)


def wait_for_the_change(service: LiveService) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if loopback.get(f"{service.base_url}/api/health/", timeout=5).json()["status"] == "changed":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(service.log.read_text()[-2000:])
