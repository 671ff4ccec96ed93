"""scripts/maintenance.sh beside a real service."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port

SCRIPT = REPOSITORY / "scripts" / "maintenance.sh"


def look(*arguments: str, data_dir: Path, port: int) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "FACE_DATA_DIR": str(data_dir), "GUNICORN_BIND": f"127.0.0.1:{port}"}
    variables.pop("DJANGO_SETTINGS_MODULE", None)
    command = [str(SCRIPT), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False)


def faults(done: subprocess.CompletedProcess[str]) -> list[str]:
    before = "maintenance.sh: fault: "
    return [line.removeprefix(before) for line in done.stderr.splitlines() if line.startswith(before)]


def test_a_dry_run_tells_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    daily = look("daily", "--dry-run", data_dir=tmp_path, port=1).stdout.splitlines()
    weekly = look("weekly", "--dry-run", data_dir=tmp_path, port=1).stdout.splitlines()
    assert weekly[: len(daily)] == daily
    assert [line for line in weekly if line.startswith(str(REPOSITORY))][-1] == f"{REPOSITORY}/scripts/audit.sh"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), ("hourly",), ("daily", "--force")])
def test_what_it_does_not_know_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = look(*arguments, data_dir=tmp_path, port=1)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: " in done.stderr


def test_a_service_that_is_well_has_no_fault_but_that_no_job_worker_runs(live_service: LiveService) -> None:
    done = look("daily", data_dir=live_service.data_dir, port=urlsplit(live_service.base_url).port or 0)
    assert faults(done) in ([], ["manage jobs doctor"]), done.stderr
    assert '"database": "ok"' in done.stdout


def test_a_service_that_is_away_and_errors_of_the_day_are_faults(live_service: LiveService, tmp_path: Path) -> None:
    log = live_service.data_dir / "log" / "web.log"
    log.parent.mkdir(exist_ok=True)
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(days=3)
    log.write_text(f"{now:%Y-%m-%dT%H:%M:%S.000Z} ERROR 7 web [-] it broke\n{old:%Y-%m-%dT%H:%M:%S.000Z} ERROR 7 old\n")
    try:
        port = free_port()
        done = look("daily", data_dir=live_service.data_dir, port=port)
    finally:
        log.unlink()
    assert done.returncode == 1
    assert set(faults(done)) >= {f"curl -fsS http://127.0.0.1:{port}/api/ready/", "recent_errors"}
    assert "it broke" in done.stdout
    assert "old" not in done.stdout.split("== room")[0]
