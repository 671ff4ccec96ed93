"""What the real service writes into its log at debug, while people come and go and its database goes away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from core.stages import Stage
from logs.destinations import OUR_LOGGERS
from testkit import loopback
from testkit.clips import encode_jpeg, grace_hopper
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql
from testkit.service import LiveService, running_service
from testkit.stream_client import Message, StreamResult, play
from tests.service.faults.test_outages import becomes_ready

PERSON = "unmistakable.person"
DISPLAY_NAME = "Unmistakable Displayname"
METADATA = "unmistakable-metadata"
FRAMES = [encode_jpeg(grace_hopper())] * 40


@dataclass(frozen=True, slots=True)
class Logged:
    lines: list[dict[str, Any]]
    after_the_move: str
    """What is in the file that was made after the other had been moved."""
    text: str
    """Of the file and of standard error, in which nobody may be named."""
    secrets: list[str]
    sessions: list[str]
    tenant_requests: list[str]
    """Ids of requests that a key was sent with."""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    directory = tmp_path_factory.mktemp("logged")
    log = directory / "log" / "everything.log"
    environment = {"GUNICORN_LOG_LEVEL": "debug", "LOG_FORMAT": "json", "FACE_SLOW_FRAME_MS": "1"}
    environment |= {"LOG_FILE_ENABLED": "1", "LOG_FILE_PATH": str(log)}
    with postgresql() as database:
        environment["DATABASE_URL"] = database.url
        with running_service(directory, workers=2, pool_size=1, environment=environment) as service:
            made = Visitors(service)
            made.come_and_go()
            made.meet_errors()
            made.lose_the_database(database)
            moved = log.rename(log.with_suffix(".moved"))
            os.kill(service.pid, signal.SIGUSR1)
            made.come_again()
    text = moved.read_text() + log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return Logged(
        lines, log.read_text(), text + service.log.read_text(), made.secrets, made.sessions, made.tenant_requests
    )


class Visitors:
    def __init__(self, service: LiveService) -> None:
        self.secrets = [service.api_key]
        self.sessions: list[str] = []
        self.tenant_requests: list[str] = []
        self._service = service

    def come_and_go(self) -> None:
        self._ask("POST", f"subjects/{PERSON}/templates/", files={"images": FRAMES[0]})
        self._ask("PATCH", f"subjects/{PERSON}/", json={"display_name": DISPLAY_NAME})
        self.secrets.append(self._ask("POST", "auth/token/").json()["access_token"])
        for kind, subject_id in (("authentication", PERSON), ("identification", None), ("enrollment", f"{PERSON}.2")):
            asked = {"kind": kind, "liveness": "none", "metadata": {"note": METADATA}}
            session = self._ask("POST", "sessions/", json=asked | ({"subject_id": subject_id} if subject_id else {}))
            self._remember(session.json())
            result = asyncio.run(play(f"ws{session.json()['websocket_url'].removeprefix('ws')}", FRAMES))
            self._remember_result(result)

    def meet_errors(self) -> None:
        self._ask("POST", f"subjects/{PERSON}/templates/", files={"images": b"no picture"})
        self._ask("POST", "subjects/", json={"subject_id": PERSON})
        self._ask("POST", "subjects/", json={"subject_id": PERSON, "unknown": DISPLAY_NAME})
        self._ask("GET", f"subjects/{PERSON}.3/")
        self._ask("GET", f"nothing/here/?name={PERSON}")
        self._ask("PUT", f"subjects/{PERSON}/")
        wrong = {"Authorization": "Bearer fk_unmistakable-wrong-key"}
        loopback.get(f"{self._service.base_url}/api/v1/subjects/{PERSON}/", headers=wrong, timeout=PATIENCE_S)
        self.secrets.append("unmistakable-wrong-key")

    def lose_the_database(self, database: PostgreSQL) -> None:
        database.stop()
        try:
            assert self._ask("GET", f"subjects/{PERSON}/").status_code == 503
            self._ask("POST", f"subjects/{PERSON}.4/templates/", files={"images": FRAMES[0]})
        finally:
            database.start()
        becomes_ready(self._service)
        self._ask("DELETE", f"subjects/{PERSON}/")

    def come_again(self) -> None:
        assert self._ask("GET", "subjects/").status_code == 200

    def _ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._service.api_key}"}
        with loopback.blocking_client(timeout=PATIENCE_S) as client:
            answer = client.request(method, f"{self._service.base_url}/api/v1/{path}", headers=headers, **body)
        self.tenant_requests.append(answer.headers["x-request-id"])
        return answer

    def _remember(self, session: Message) -> None:
        self.secrets.append(session["token"])
        self.sessions.append(session["id"])

    def _remember_result(self, result: StreamResult) -> None:
        assert result.completed is not None, result.messages[-1]
        self.secrets.append(result.completed["decision_token"])


def test_nobody_is_named(logged: Logged) -> None:
    for name in (PERSON, DISPLAY_NAME, METADATA):
        assert [line for line in logged.text.splitlines() if name in line] == []


def test_no_secret_is_told(logged: Logged) -> None:
    assert len(logged.secrets) == 9
    for secret in logged.secrets:
        assert [line for line in logged.text.splitlines() if secret in line] == []


def test_a_file_that_is_moved_away_is_made_anew_and_usr1_does_no_harm(logged: Logged) -> None:
    assert "GET /api/v1/subjects/ " in logged.after_the_move
    assert logged.tenant_requests[-1] in logged.after_the_move


def test_every_line_is_json_of_a_process_with_the_ids(logged: Logged) -> None:
    keys = {"time", "level", "logger", "message", "request_id", "session_id", "tenant", "worker", "mode", "process"}
    assert all(line.keys() >= keys for line in logged.lines)
    assert {line["time"][-1] for line in logged.lines} == {"Z"}
    assert {line["mode"] for line in logged.lines} == {"web"}
    assert len({line["process"] for line in logged.lines}) == 3  # the master and two workers


def test_libraries_do_not_tell_what_they_handle(logged: Logged) -> None:
    """At debug they would: messages and headers of sockets, statements."""
    rooms = {line["logger"].partition(".")[0] for line in logged.lines if line["level"] == "debug"}
    assert rooms
    assert rooms <= {*OUR_LOGGERS, "gunicorn"}


def test_lines_of_requests_and_sockets_say_whose_they_are(logged: Logged) -> None:
    of_tenant = [line for line in logged.lines if line["request_id"] in logged.tenant_requests]
    access = [line for line in of_tenant if line["logger"] == "uvicorn.access"]
    assert {line["request_id"] for line in access} == set(logged.tenant_requests)
    known = [line for line in access if not line["message"].endswith((" 404", " 405", " 503"))]
    assert len(known) > 8
    assert [line for line in known if line["tenant"] is None] == []


def test_a_slow_frame_is_logged_with_its_stages_and_session(logged: Logged) -> None:
    slow = [line for line in logged.lines if line["message"] == "slow frame"]
    assert {line["session_id"] for line in slow} <= set(logged.sessions)
    assert slow[0]["stages_ms"].keys() >= {"wait", "decode", "mesh", "quality", "search", "store"}
    assert sum(slow[0]["stages_ms"].values()) <= slow[0]["frame_ms"] + len(Stage)


def test_an_outage_and_errors_are_in_the_log(logged: Logged) -> None:
    messages = [line["message"] for line in logged.lines if line["level"] in ("warning", "error")]
    assert any("cannot be used" in one for one in messages)
    assert any("/api/v1/subjects/.../" in one for one in messages)
