"""The number of worker processes: published by Gunicorn, 1 for other servers."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from config.processes.number import with_actual_workers
from config.settings import Settings, load

GUNICORN_CONFIG = Path(__file__).resolve().parents[2] / "face_recognition_app" / "gunicorn_config.py"


@pytest.fixture
def settings() -> Settings:
    return load({"GUNICORN_WORKERS": "4"})


def test_other_servers_have_one_process_unless_the_variable_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.delenv("SERVING_PROCESSES", raising=False)
    assert with_actual_workers(load({})).workers == 1
    assert with_actual_workers(settings).workers == 4


def test_gunicorn_publishes_its_number_of_workers_whatever_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("SERVING_PROCESSES", "set here so that it is restored afterwards")
    configuration = runpy.run_path(str(GUNICORN_CONFIG))
    for number, before in ((16, None), (17, 16), (0, 17)):
        configuration["nworkers_changed"](None, number, before)
        assert with_actual_workers(settings).workers == max(1, number)
