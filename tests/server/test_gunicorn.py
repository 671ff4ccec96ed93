"""gunicorn_config.py, as Gunicorn itself reads it from the application's directory."""

from __future__ import annotations

import logging
import os
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.settings import load
from server.roster import Roster
from tests.processes import APPLICATION, run

CONFIG = APPLICATION / "gunicorn_config.py"


def gunicorn(*arguments: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "gunicorn", "face_app.asgi:application", "-c", "gunicorn_config.py", *arguments]
    return run(*command, FACE_DATA_DIR=str(data_dir), **variables)


def configuration(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(CONFIG))


def test_gunicorn_takes_the_configuration_and_the_application(tmp_path: Path) -> None:
    done = gunicorn("--check-config", data_dir=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_variable_beats_the_default_and_a_flag_beats_the_variable(tmp_path: Path) -> None:
    variables = {"GUNICORN_WORKERS": "3", "GUNICORN_BIND": "127.0.0.1:9000", "GUNICORN_TIMEOUT": "33"}
    done = gunicorn("--print-config", "-w", "5", data_dir=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    printed = dict(line.split("=", 1) for line in done.stdout.replace(" ", "").splitlines() if "=" in line)
    assert (printed["workers"], printed["bind"], printed["timeout"]) == ("5", "['127.0.0.1:9000']", "33")
    assert printed["worker_class"] == "server.worker.FaceWorker"


def test_an_invalid_variable_ends_gunicorn_with_a_message(tmp_path: Path) -> None:
    done = gunicorn("--check-config", data_dir=tmp_path, FACE_MESH_POOL_SIZE="none")
    assert done.returncode != 0
    assert "configuration error: FACE_MESH_POOL_SIZE='none': Input should be a valid integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_variable_of_gunicorn_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = configuration(
        monkeypatch,
        GUNICORN_WORKERS="3",
        GUNICORN_BIND="127.0.0.1:9000",
        GUNICORN_TIMEOUT="33",
        GUNICORN_LOG_LEVEL="debug",
    )
    names = ("workers", "bind", "timeout", "loglevel")
    assert [found[name] for name in names] == [3, ["127.0.0.1:9000"], 33, "debug"]


def test_the_defaults_serve_on_port_8003(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GUNICORN_")]:
        monkeypatch.delenv(name)
    found = configuration(monkeypatch)
    assert (found["bind"], found["timeout"], found["loglevel"]) == (["0.0.0.0:8003"], 120, "info")
    assert found["workers"] == load({}).workers


def test_two_services_of_one_user_have_each_their_own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = configuration(monkeypatch, FACE_DATA_DIR=str(tmp_path / "a"))
    second = configuration(monkeypatch, FACE_DATA_DIR=str(tmp_path / "b"))
    assert first["control_socket"] != second["control_socket"]
    assert first["_metrics_dir"] != second["_metrics_dir"]


def test_metrics_of_an_earlier_run_are_not_counted_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "set here so that it is restored afterwards")
    metrics = tmp_path / "run" / "metrics"
    metrics.mkdir(parents=True)
    (metrics / "counter_1.db").write_bytes(b"old")
    configuration(monkeypatch, FACE_DATA_DIR=str(tmp_path))["on_starting"](None)
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(metrics)
    assert list(metrics.iterdir()) == []


def test_a_run_directory_that_cannot_be_written_stops_no_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "set here so that it is restored afterwards")
    (tmp_path / "run").write_text("a file in its place")
    master = SimpleNamespace(log=logging.getLogger())
    configuration(monkeypatch, FACE_DATA_DIR=str(tmp_path))["on_starting"](master)
    assert "Not a directory" in caplog.text


def test_a_dead_workers_file_that_cannot_be_removed_ends_no_master(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "gauge_livesum_7.db").mkdir()
    master = SimpleNamespace(log=logging.getLogger())
    configuration(monkeypatch)["child_exit"](master, SimpleNamespace(pid=7, slot=Roster().enter()))
    assert "worker 7" in caplog.text


def test_run_files_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = configuration(monkeypatch, FACE_DATA_DIR=str(tmp_path / "data"), FACE_RUN_DIR=str(tmp_path / "run"))
    assert found["control_socket"] == str(tmp_path / "run" / "gunicorn.ctl")
    assert found["_metrics_dir"] == tmp_path / "run" / "metrics"
