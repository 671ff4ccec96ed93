"""Checkpoints of every version can be read, and a session of a newer version is returned unchanged.

`checkpoints/vN.json` is a checkpoint that version N wrote of a state with every part. `checkpoints/vN.schema.json` is
the shape of its checkpoints: `shape()`, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from core.liveness.decision import Verdict
from gallery.models import TemplateKey
from recognition.models import Session
from recognition.retention import erasure
from recognition.sessions import checkpoints, lifecycle
from recognition.sessions.checkpoints import VERSION, NewerCheckpoint, SealedCheckpoint
from recognition.sessions.state import Flow, Match
from recognition.worker import Worker
from tests.recognition.failing import Clock
from tests.recognition.sessions.test_state import ALICE as MATCH
from tests.recognition.sessions.test_state import person, watch
from tests.recognition.support import (
    Backend,
    Faces,
    asked,
    connect,
    decision_of,
    in_database,
    row,
    token,
    until_complete,
)
from vocabulary.faces import Action
from vocabulary.sessions import Purpose, SessionStatus

FIXTURES = Path(__file__).parent / "checkpoints"
VERSIONS = range(VERSION + 1)
WHEN_CHANGED = (
    "the shape of checkpoints changed: raise checkpoints.VERSION, add a step from the version before, "
    "and add a fixture and a schema of the new version beside the old ones"
)
LEFT_OUT = ("$defs", "title", "description", "default")
Row = dict[str, Any]


def fixture(version: int) -> str:
    return (FIXTURES / f"v{version}.json").read_text().strip()


def shape() -> Any:
    """The JSON schema of a checkpoint, without descriptions, defaults and class names."""
    schema = TypeAdapter(Flow).json_schema(mode="serialization")

    def bare(part: Any) -> Any:
        if isinstance(part, list):
            return [bare(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return bare(schema["$defs"][part["$ref"].removeprefix("#/$defs/")])
        kept = {key: bare(value) for key, value in part.items() if key not in LEFT_OUT}
        return kept | {key: sorted(kept[key]) for key in ("enum", "required") if key in kept}

    return bare(schema)


def objects(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all objects within a JSON value."""
    if isinstance(part, dict):
        yield path
    for key, value in part.items() if isinstance(part, dict) else enumerate(part if isinstance(part, list) else []):
        yield from objects(value, (*path, key))


def test_every_version_has_its_fixture() -> None:
    assert {path.name for path in FIXTURES.glob("v*[0-9].json")} == {f"v{version}.json" for version in VERSIONS}
    assert not [version for version in VERSIONS if json.loads(fixture(version)).get("version", 0) != version]


def test_the_shape_is_that_of_the_version() -> None:
    path = FIXTURES / f"v{VERSION}.schema.json"
    assert path.is_file(), WHEN_CHANGED
    assert shape() == json.loads(path.read_text()), WHEN_CHANGED


def test_what_was_read_is_written_again_as_it_was() -> None:
    assert checkpoints.dump(checkpoints.load(fixture(VERSION))) == fixture(VERSION), WHEN_CHANGED


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read_and_goes_on(version: int) -> None:
    flow = checkpoints.load(fixture(version))
    assert (flow.purpose, flow.subject_id, flow.frames) == (Purpose.AUTHENTICATION, "alice", 14)
    assert (flow.match, flow.nearest, flow.unmatched) == (Match("alice", 0.8, 0.45), Match("alice", 0.8, 0.45), 2)
    assert (flow.samples[0].embedding == person(3)).all()
    assert (len(flow.liveness.spoof.scores), len(flow.liveness.moire.peaks), flow.liveness.mouth.seen) == (8, 8, True)
    challenge = flow.liveness.challenge
    assert challenge is not None
    assert (challenge.actions, challenge.step_began_ms) == ([Action.NOD, Action.LIGHT], 300)
    assert challenge.light is not None
    assert challenge.light.answers == [(0.5, 0.125)]
    assert watch(flow, 1_400, match=MATCH) is None
    assert (flow.liveness.readings, flow.liveness.verdict) == (15, Verdict.PENDING)


def test_an_unknown_field_is_refused_in_every_part() -> None:
    parts = list(objects(json.loads(fixture(VERSION))))
    assert {path[-1] for path in parts if path} >= {"liveness", "challenge", "light", "body", "box", "match"}
    for path in parts:
        state = part = json.loads(fixture(VERSION))
        for key in path:
            part = part[key]
        part["unheard_of"] = 1
        with pytest.raises(ValueError, match="unheard_of"):
            checkpoints.load(json.dumps(state))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"version":-1}', '{"version":true}', '{"version":"1"}'])
def test_what_no_version_wrote_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever library
        checkpoints.load(text)


def test_a_newer_version_is_told_apart_whatever_its_shape() -> None:
    with pytest.raises(NewerCheckpoint, match=f"of version {VERSION + 1}, this worker reads up to {VERSION}"):
        checkpoints.load(f'{{"version":{VERSION + 1},"another":"shape"}}')


def write_as_newer() -> Row:
    """Make the only session's checkpoint one of a newer version; returns the session."""
    session = Session.across_tenants.get()
    text = json.dumps({"version": VERSION + 1, "evidence of another kind": json.loads(session.checkpoint)})
    Session.across_tenants.update(checkpoint=text)
    return the_row()


def the_row() -> Row:
    return dict(Session.across_tenants.values().get())


async def test_a_socket_is_told_to_come_again_and_the_session_stays(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    secret = await token(worker, backend, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await socket.greeted()
        assert (await socket.ask(faces.astronaut))["samples"] == {"accepted": 1, "target": 2}
    kept = (await row(worker)).checkpoint
    before = await in_database(worker, write_as_newer)
    async with connect(secret) as socket:
        error = await socket.receive()
        assert (error["type"], error["code"], error["retryable"]) == ("error", "unavailable", True)
        assert error["retry_after_ms"] > 0
        assert await socket.closed() == 1013
    assert await in_database(worker, the_row) == before
    await in_database(worker, lambda: Session.across_tenants.update(checkpoint=kept))
    async with connect(secret) as socket:
        assert (await socket.greeted())["resumed"]
        answers, result = await until_complete(socket, faces.astronaut)
        assert {answer["samples"]["accepted"] for answer in answers} <= {1, 2}, "the sample of before is still there"
        assert result["success"]


async def send(api: httpx.AsyncClient, path: str, data: bytes) -> httpx.Response:
    return await api.post(f"{path}frames/", content=data, headers={"content-type": "image/jpeg"})


@pytest.mark.parametrize("method", ["frame", "cancel", "create again"])
async def test_a_request_is_answered_503_and_the_session_stays(
    worker: Worker, api: httpx.AsyncClient, faces: Faces, method: str
) -> None:
    new, key = {"kind": "enrollment", "subject_id": "alice"}, {"Idempotency-Key": "once"}
    session = (await api.post("/api/v1/sessions/", json=new, headers=key)).json()
    path = f"/api/v1/sessions/{session['id']}/"
    assert (await send(api, path, faces.astronaut)).status_code == 200
    before = await in_database(worker, write_as_newer)
    match method:
        case "frame":
            answer = await send(api, path, faces.astronaut)
        case "cancel":
            answer = await api.delete(path)
        case _:
            answer = await api.post("/api/v1/sessions/", json=new, headers=key)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "unavailable")
    assert error["details"]["retry_after_ms"] > 0
    assert int(answer.headers["Retry-After"]) > 0
    assert await in_database(worker, the_row) == before
    assert (await api.get(path)).json()["status"] == "in_progress"


def left_behind(worker: Worker, backend: Backend, clock: Clock) -> Row:
    """An overdue session with a checkpoint of a newer version."""
    lifecycle.connect(
        worker.deciding, lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "alice"), None).session
    )
    before = write_as_newer()
    clock.now = before["expires_at"] + timedelta(seconds=1)
    return before


def test_a_session_that_is_over_time_is_left_to_those_who_can_read_it(
    worker: Worker, backend: Backend, clock: Clock
) -> None:
    before = left_behind(worker, backend, clock)
    session = Session.across_tenants.get()
    assert lifecycle.expire_overdue(worker.deciding) == 0
    for call in (lifecycle.expire_if_due, lifecycle.connect, lifecycle.cancel):
        with pytest.raises(NewerCheckpoint):
            call(worker.deciding, session)
    assert the_row() == before


def test_sessions_of_a_newer_version_hold_up_no_other(
    worker: Worker, backend: Backend, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "EXPIRED_AT_ONCE", 1)
    left_behind(worker, backend, clock)
    other = lifecycle.connect(
        worker.deciding, lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "bob"), None).session
    )
    clock.now = other.session.expires_at + timedelta(seconds=1)
    assert lifecycle.expire_overdue(worker.deciding) == 1
    assert decision_of(other.session).reason == "timeout"


def test_a_session_that_nobody_can_read_any_more_is_not_kept_for_ever(
    worker: Worker, backend: Backend, clock: Clock
) -> None:
    before = left_behind(worker, backend, clock)
    clock.now = before["expires_at"] + lifecycle.NEWER_VERSION_GRACE
    assert lifecycle.expire_overdue(worker.deciding) == 1
    assert (the_row()["status"], the_row()["checkpoint"]) == (SessionStatus.EXPIRED, "")


def test_who_is_erased_waits_for_no_newer_worker(worker: Worker, alice: Backend) -> None:
    lifecycle.connect(
        worker.deciding,
        lifecycle.create(worker.deciding, alice.tenant, asked("authentication", "alice"), None).session,
    )
    write_as_newer()
    erasure.erase_subject(worker.deciding, alice.tenant, "alice")
    kept = the_row()
    assert (kept["status"], kept["checkpoint"], kept["subject_id"]) == (SessionStatus.EXPIRED, "", "")


def with_a_match(flow: Flow) -> Flow:
    flow.match, flow.matched_probe = MATCH, person(3).tobytes()
    return flow


def begun(worker: Worker, backend: Backend) -> Session:
    """A session whose checkpoint is of a state with every part of the newest version."""
    lease = lifecycle.connect(
        worker.deciding,
        lifecycle.create(worker.deciding, backend.tenant, asked("identification", ""), None).session,
    )
    lease.flow = with_a_match(checkpoints.load(fixture(VERSION)))
    lease.save()
    return Session.across_tenants.select_related("tenant").get()


def test_what_is_stored_of_a_session_shows_neither_embeddings_nor_pictures(worker: Worker, backend: Backend) -> None:
    session = begun(worker, backend)
    stored = json.loads(session.checkpoint)
    assert stored.keys() == {"version", "about", "sealed"}
    assert stored["about"] == [{"subject_id": "alice"}], "so that an erasure finds it"
    for secret in ("vector", "anchor", "reference", "samples"):
        assert secret in fixture(VERSION)
        assert secret not in session.checkpoint
    again = checkpoints.read(session, worker.deciding.gallery.protection)
    assert checkpoints.dump(again) == checkpoints.dump(with_a_match(checkpoints.load(fixture(VERSION))))


@pytest.mark.parametrize("version", range(4))
def test_what_an_older_version_stored_unsealed_is_read_and_sealed_when_it_goes_on(
    worker: Worker, backend: Backend, version: int
) -> None:
    session = begun(worker, backend)
    Session.across_tenants.update(checkpoint=fixture(version))
    lease = lifecycle.connect(worker.deciding, session)
    assert lease.flow.frames == 14
    lease.save()
    assert json.loads(Session.across_tenants.get().checkpoint).keys() == {"version", "about", "sealed"}


def test_what_is_sealed_for_another_session_or_not_at_all_is_refused(worker: Worker, backend: Backend) -> None:
    session, protection = begun(worker, backend), worker.deciding.gallery.protection
    other = lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "bob"), None).session
    other.checkpoint = session.checkpoint
    with pytest.raises(ValueError, match="belongs to another tenant, model or place"):
        checkpoints.read(other, protection)
    session.checkpoint = fixture(VERSION)
    with pytest.raises(ValueError, match="a checkpoint of this version is sealed"):
        checkpoints.read(session, protection)


def test_a_session_whose_secret_is_gone_is_left_to_others_and_ends_in_time(
    worker: Worker, backend: Backend, clock: Clock
) -> None:
    session = begun(worker, backend)
    TemplateKey.across_tenants.all().delete()
    with pytest.raises(SealedCheckpoint, match="the secret of epoch 1 of tenant acme was deleted"):
        lifecycle.connect(worker.deciding, session)
    clock.now = session.expires_at + timedelta(seconds=1)
    assert lifecycle.expire_overdue(worker.deciding) == 0
    clock.now = session.expires_at + lifecycle.NEWER_VERSION_GRACE
    assert lifecycle.expire_overdue(worker.deciding) == 1
    assert (the_row()["status"], the_row()["checkpoint"]) == (SessionStatus.EXPIRED, "")


def test_an_erasure_ends_a_session_that_has_found_the_person(worker: Worker, alice: Backend) -> None:
    begun(worker, alice)
    erasure.erase_subject(worker.deciding, alice.tenant, "alice")
    assert decision_of(Session.across_tenants.get()).reason == "subject_gone"
