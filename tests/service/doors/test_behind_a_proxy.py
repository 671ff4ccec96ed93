"""The service as a proxy that has the certificate reaches it: over HTTP, with X-Forwarded-Proto."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from testkit import loopback
from testkit.service import REPOSITORY, LiveService, free_port, running_command

APPLICATION = REPOSITORY / "face_recognition_app"
GUNICORN = str(Path(sys.executable).parent / "gunicorn")
PATHS = ("/api/health/", "/api/ready/", "/api/docs", "/static/demo/style.css", "/nowhere")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    port = free_port()
    command = [GUNICORN, "face_app.asgi:application", "-c", "gunicorn_config.py", "-w", "1", "-b", f"127.0.0.1:{port}"]
    with running_command(
        command, port, tmp_path_factory.mktemp("proxy"), APPLICATION, {"FACE_HSTS_S": "600", "TZ": "Asia/Jakarta"}
    ) as service:
        yield service


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_over_tls_has_hsts_and_no_other(service: LiveService, path: str) -> None:
    over_tls = loopback.get(service.base_url + path, headers={"X-Forwarded-Proto": "https"})
    plain = loopback.get(service.base_url + path)
    assert over_tls.headers.get_list("strict-transport-security") == ["max-age=600"]
    assert "strict-transport-security" not in plain.headers


def test_every_line_of_the_log_has_its_time_in_utc_with_its_letter(service: LiveService) -> None:
    """The master's lines and those of its workers, on a machine in another time zone."""
    lines = service.log.read_text().splitlines()
    assert any("gunicorn.error" in line for line in lines)
    assert any("worker ready" in line for line in lines)
    told = [re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?:INFO|WARNING) \d+ ", line) for line in lines]
    assert all(told), lines
    times = [datetime.fromisoformat(found[1]) for found in told if found is not None]
    started = datetime.fromtimestamp(psutil.Process(service.pid).create_time(), UTC)
    assert all(timedelta(seconds=-2) < time - started < timedelta(hours=1) for time in times)
