"""manage.py retention: one round of the workers' retention, without an engine."""

from __future__ import annotations

import fcntl
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from recognition.models import Session
from recognition.worker import Worker
from tests.processes import run
from tests.recognition.failing import begun
from tests.recognition.support import Backend, decision_of
from vocabulary.sessions import SessionStatus

FOREIGN = ("openvino", "cv2", "mediapipe", "ninja", "daphne", "twisted", "channels", "recognition.api", "scheduling")
"""Modules of engine, API and sockets, which take longer to load than the command's own work."""

IN_A_NEW_PROCESS = f"""
import json, os, sys
from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "face_app.settings"
execute_from_command_line(["manage.py", "retention", "--json"])
print(json.dumps([name for name in {FOREIGN} if name in sys.modules]))
"""


def retention() -> dict[str, int | None]:
    out = StringIO()
    call_command("retention", "--json", stdout=out)
    told: dict[str, int | None] = json.loads(out.getvalue())
    return told


def test_the_command_ends_what_is_over_time_and_deletes_what_is_old(alice: Backend, worker: Worker) -> None:
    overdue, old, current = (begun(worker, alice, device_id=name).session for name in ("overdue", "old", "current"))
    Session.across_tenants.filter(pk=overdue.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    Session.across_tenants.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1_000))
    assert retention() == {"expired": 2, "applied": 1}
    assert decision_of(overdue).reason == "timeout"
    assert not Session.across_tenants.filter(pk=old.pk).exists()
    current.refresh_from_db()
    assert current.status == SessionStatus.IN_PROGRESS
    assert retention() == {"expired": 0, "applied": 0}


def test_while_another_process_deletes_the_command_says_so_and_fails(worker: Worker, alice: Backend) -> None:
    session = begun(worker, alice).session
    Session.across_tenants.filter(pk=session.pk).update(expires_at=timezone.now() - timedelta(days=1_000))
    path = worker.settings.run_dir / "retention.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="1 sessions have expired; another process is deleting"):
            call_command("retention")
    assert retention() == {"expired": 0, "applied": 1}


def test_the_command_loads_no_engine_and_no_api_and_is_no_worker(tmp_path: Path) -> None:
    (tmp_path / "face.sqlite3").touch()
    made = run("manage.py", "migrate", FACE_DATA_DIR=str(tmp_path))
    assert made.returncode == 0, made.stderr
    done = run("-c", IN_A_NEW_PROCESS, FACE_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told, loaded = done.stdout.splitlines()
    assert json.loads(told) == {"expired": 0, "applied": 0}
    assert json.loads(loaded) == []
    assert not list(tmp_path.rglob("workers/*")), "what is there is summed into /api/pool/status/"
