from __future__ import annotations

import errno
import gc
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection

from config.settings import Settings, load
from face_app import asgi
from face_app.lifespan import Lifespan
from recognition.worker import STATE_KEY, Worker
from server.connections import open_sockets
from server.connections.open_sockets import OpenSockets
from tests.processes import run
from weights.catalogue import MODELS

NO_NETWORK = {
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "PATH": "",
}


async def answers_to(*messages: str, start: Any, state: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    incoming = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": next(incoming)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {} if state is None else state}
    await Lifespan(start)(scope, receive, send)
    return sent


class IdleWorker:
    """Notes its start and its end. The rounds that ask it for more do not begin within a test."""

    def __init__(self, happened: list[str]) -> None:
        self.open_sockets = OpenSockets()
        self._happened = happened
        happened.append("warm")

    def close(self) -> None:
        self._happened.append("closed")


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Where a start makes nothing ready; its models cannot be there."""
    (tmp_path / "file").touch()
    found = load(
        {
            "APP_ENV": "production",
            "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7",
            "FACE_DATA_DIR": str(tmp_path / "var"),
            "FACE_MODEL_DIR": str(tmp_path / "file" / "models"),
        }
    )
    monkeypatch.setattr(django_settings, "FACE", found)
    return found


async def test_a_worker_whose_models_cannot_be_had_says_so_and_does_not_start(production: Settings) -> None:
    [answer] = await answers_to("lifespan.startup", start=Worker.start)
    assert answer["type"] == "lifespan.startup.failed"
    assert f"the models in {production.model_dir} cannot be read or written" in answer["message"]


def test_a_server_with_corrupt_models_and_no_network_ends_and_says_what_to_do(tmp_path: Path) -> None:
    for model in MODELS:
        (tmp_path / model.filename).write_bytes(b"not the model")
    command = ["-m", "uvicorn", "face_app.asgi:application", "--port", "0"]
    directories = {"FACE_DATA_DIR": str(tmp_path / "var"), "FACE_MODEL_DIR": str(tmp_path)}
    done = run(*command, **directories, **NO_NETWORK)
    assert done.returncode != 0
    assert "Application startup failed" in done.stderr
    for model in (model for model in MODELS if not model.optional):
        assert f"put the file with sha256 {model.sha256} at {tmp_path / model.filename}" in done.stderr
    assert not list((tmp_path / "var").rglob("workers/*")), "a worker that never started is not in the pool's status"


@pytest.mark.usefixtures("production")
async def test_a_worker_is_started_when_it_is_warm_and_stopped_when_it_has_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    state: dict[str, Any] = {}
    frozen: list[object] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.extend(happened))
    answers = await answers_to(
        "lifespan.startup", "lifespan.shutdown", start=lambda _: IdleWorker(happened), state=state
    )
    assert answers == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert happened == ["warm", "closed"]
    worker = state[STATE_KEY]
    assert isinstance(worker, IdleWorker), "every scope of the server gets what is in this state"
    assert state[open_sockets.STATE_KEY] is worker.open_sockets, "the server sends notices to these"
    assert frozen == ["warm"], "what a warm worker keeps is never looked through again"


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), OperationalError("disk is full")])
async def test_a_development_worker_that_cannot_write_starts_with_what_is_there(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Gunicorn gives up the whole service when one worker says that it cannot start."""

    def prepare(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("face_app.lifespan.prepare", prepare)
    answers = await answers_to("lifespan.startup", "lifespan.shutdown", start=lambda _: IdleWorker([]))
    assert [answer["type"] for answer in answers] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.fixture
def development(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Where a start makes ready what is missing, in a data directory of its own and on the tests' models."""
    models = django_settings.FACE.model_dir
    found = load({"FACE_DATA_DIR": str(tmp_path / "var"), "FACE_MODEL_DIR": str(models)})
    monkeypatch.setattr(django_settings, "FACE", found)
    return found


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the tests run on another database")
@pytest.mark.usefixtures("transactional_db")
async def test_a_worker_that_starts_without_its_database_starts_and_makes_no_new_one(
    monkeypatch: pytest.MonkeyPatch, development: Settings
) -> None:
    """Ending would end its siblings, too. The key of the demo tenant tells that there was a database."""
    gone = development.data_dir / "face.sqlite3"
    development.data_dir.mkdir()
    (development.data_dir / "demo-api-key").write_text("fk_of_the_database_that_is_gone")
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", str(gone))
        patch.setitem(connection.settings_dict["OPTIONS"], "mode", "rw")
        answers = await answers_to("lifespan.startup", "lifespan.shutdown", start=lambda _: IdleWorker([]))
    assert answers == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert not gone.exists()


def test_the_first_request_waits_for_nothing_that_a_start_can_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building the document takes 70 ms, for which the event loop would stand still under everybody's streams."""
    asgi._allowances.cache_clear()
    monkeypatch.setattr(Worker, "start", lambda settings: None)
    asgi._start_worker(settings)
    monkeypatch.delattr(asgi, "make_api")
    assert asgi._allowance("POST", "/api/v1/faces/search/") != asgi._allowance("POST", "/api/v1/sessions/")
