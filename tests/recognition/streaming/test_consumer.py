"""The socket in process: the real application, real faces, and injected faults."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from django.utils import timezone

from config.public_url import PublicUrl
from core.liveness.policy import Policy
from gallery.models import Template
from gallery.people import Sample
from logs.advice import warn_once
from recognition.models import Decision, Session
from recognition.sessions import lifecycle
from recognition.sessions.lease import Lease
from recognition.sessions.state import Flow
from recognition.streaming.consumer import ORIGIN_ADVICE
from recognition.worker import Worker
from testkit.clips import astronaut, encode_jpeg
from tests.enrolling import enroll
from tests.recognition.conftest import Configure, UseMeshes
from tests.recognition.support import (
    ANYONE,
    Backend,
    Faces,
    Gate,
    GatedMesh,
    Socket,
    asked,
    became,
    connect,
    count,
    http_client,
    row,
    text_frame,
    token,
    until_complete,
)
from vocabulary.faces import Action
from vocabulary.sessions import SessionStatus

pytestmark = pytest.mark.usefixtures("unblocked_loop")


@asynccontextmanager
async def two_sockets(shared: str) -> AsyncIterator[tuple[Socket, Socket]]:
    """An older and a newer connection of one session."""
    async with connect(shared) as older:
        await older.greeted()
        async with connect(shared) as newer:
            assert (await newer.greeted())["resumed"] is True
            yield older, newer


def is_paced(pacing: dict[str, int]) -> bool:
    """How many frames are asked for depends on how fast the machine was with those before."""
    return pacing == {"target_fps": pacing["target_fps"], "max_in_flight": 2} and 1 <= pacing["target_fps"] <= 10


async def test_the_greeting_has_every_field_of_the_contract(worker: Worker, backend: Backend) -> None:
    async with connect(await token(worker, backend)) as socket:
        greeting = await socket.greeted()
    session = await row(worker)
    expires_in = datetime.fromisoformat(greeting.pop("expires_at")) - timezone.now()
    assert timedelta(seconds=50) < expires_in <= timedelta(seconds=60)
    assert is_paced(greeting.pop("pacing"))
    assert greeting == {
        "type": "connection_established",
        "session_id": str(session.id),
        "kind": "enrollment",
        "status": "in_progress",
        "limits": {"max_frame_bytes": 10 * 1024 * 1024, "max_pixels": 25_000_000},
        "challenge": None,
        "resumed": False,
        "attempts_left": 5,
    }


async def test_an_active_session_is_told_its_challenge(worker: Worker, backend: Backend) -> None:
    async with connect(await token(worker, backend, asked("identification", liveness=Policy.ACTIVE))) as socket:
        challenge = (await socket.greeted())["challenge"]
    assert challenge["id"]
    assert len(challenge["steps"]) >= 2
    assert {step["action"] for step in challenge["steps"]} <= set(Action)


async def test_an_answer_has_every_field_of_the_contract(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect(await token(worker, backend, asked("enrollment", "alice", Policy.PASSIVE))) as socket:
        await socket.greeted()
        answer = await socket.ask(faces.astronaut)
    face = answer.pop("face")
    assert face.keys() == {"x", "y", "width", "height"}
    assert all(0 < fraction < 1 for fraction in face.values())
    assert answer.pop("processing_ms") > 0
    assert 0 < answer["quality"].pop("score") <= 1
    assert answer.pop("guidance").keys() == {"code", "message"}
    assert is_paced({**answer.pop("pacing"), "max_in_flight": 2})
    assert 50_000 < answer["liveness"].pop("remaining_ms") < 60_000
    assert 0 <= answer["liveness"].pop("progress") < 1
    assert answer == {
        "type": "frame_processed",
        "seq": 1,
        "quality": {"issues": []},
        "liveness": {
            "passive": "pending",
            "step": None,
            "steps_done": 0,
            "steps_total": 1,
            "instruction": "blink",
            "step_remaining_ms": None,
        },
        "samples": {"accepted": 1, "target": 3},
        "dropped": 0,
    }


async def test_a_frame_that_is_sent_before_the_greeting_is_answered_after_it(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.send(faces.astronaut)
        assert (await socket.receive())["type"] == "connection_established"
        assert (await socket.receive())["type"] == "frame_processed"


async def test_an_enrolment_without_liveness_ends_with_its_samples(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        answers, done = await until_complete(socket, faces.astronaut)
        assert await socket.closed() == 1000
    decision = await worker.database.run(Decision.across_tenants.get)
    assert done == {
        "type": "enrollment_complete",
        "success": True,
        "subject_id": "alice",
        "display_name": None,
        "liveness": "not_required",
        "reason": None,
        "decision_token": decision.token,
        "retry_after_ms": None,
        "attempts_left": None,
    }
    accepted = [answer["samples"]["accepted"] for answer in answers]
    assert accepted == sorted(accepted)
    assert accepted[-1] == 3
    assert await count(worker, Template) == 3


async def test_no_score_is_ever_sent(worker: Worker, backend: Backend, faces: Faces, astronaut_embedding: Any) -> None:
    await worker.database.run(
        enroll,
        backend.tenant,
        "alice",
        [Sample(astronaut_embedding, 1.0)],
        worker.deciding.gallery,
        worker.deciding.rules,
    )
    told = []
    for face in (faces.astronaut, faces.hopper):
        async with connect(await token(worker, backend, asked("authentication", "alice"))) as socket:
            told.append(await socket.greeted())
            answers, done = await until_complete(socket, face)
            told += [*answers, done]
    assert [message["success"] for message in told if "success" in message] == [True, False]
    for word in ("similarity", "threshold", "live_score", "score_"):
        assert word not in json.dumps(told)


async def test_evidence_is_for_the_backend_and_never_on_the_socket(
    worker: Worker, backend: Backend, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = {"spoof_median": 0.424242, "cues": {"parallax": [0.1717]}}
    monkeypatch.setattr(Flow, "evidence", lambda flow: evidence)
    async with connect(await token(worker, backend, asked("enrollment", "alice"))) as socket:
        told = [await socket.greeted()]
        answers, done = await until_complete(socket, faces.astronaut)
    decision = await worker.database.run(Decision.across_tenants.get)
    assert decision.evidence == evidence
    claims = jwt.decode(decision.token, options={"verify_signature": False})
    for word in ("evidence", "spoof_median", "424242", "parallax", "1717"):
        assert word not in json.dumps([*told, *answers, done, claims])
    async with http_client(backend.key) as api:
        detail = (await api.get(f"/api/v1/sessions/{told[0]['session_id']}/")).json()
    assert detail["decision"]["evidence"] == evidence


async def test_frames_are_numbered_as_the_client_says_else_by_arrival(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        assert (await socket.ask(faces.nobody))["seq"] == 1
        await socket.say("frame", **text_frame(faces.nobody, seq=70))
        assert (await socket.receive())["seq"] == 70
        await socket.say("frame", image="data:image/jpeg;base64," + base64.b64encode(faces.nobody).decode())
        assert (await socket.receive())["seq"] == 3


async def test_a_picture_without_a_face_is_guidance_not_an_error(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        nobody, both = await socket.ask(faces.nobody), await socket.ask(faces.both)
    assert (nobody["face"], nobody["guidance"]["code"]) == (None, "no_face")
    assert both["guidance"]["code"] == "multiple_faces"
    assert both["samples"]["accepted"] == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "invalid_image"), (b"nonsense", "invalid_image"), (b"GIF89a" + bytes(40), "unsupported_format")],
)
async def test_a_bad_frame_leaves_the_session_alone(
    worker: Worker, backend: Backend, faces: Faces, data: bytes, code: str
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        error = await socket.ask(data)
        assert (error["type"], error["code"], error["retryable"], error["seq"]) == ("error", code, True, 1)
        assert (await socket.ask(faces.astronaut))["samples"]["accepted"] == 1


async def test_a_frame_over_the_byte_limit_is_refused_alone(
    backend: Backend, faces: Faces, configure: Configure
) -> None:
    worker = configure(max_image_bytes=len(faces.astronaut))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        assert (await socket.ask(faces.astronaut + b"x"))["code"] == "image_too_large"
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"


async def test_wrong_base64_is_a_bad_frame(worker: Worker, backend: Backend) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.say("frame", image="*not base64*", seq=5)
        error = await socket.receive()
        assert (error["code"], error["seq"]) == ("invalid_image", 5)
        await socket.say("ping")
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"frame"',
        "{}",
        '{"type":"dance"}',
        '{"type":"frame"}',
        '{"type":"frame","image":7}',
        '{"type":"frame","image":"","seq":-1}',
        "[" * 5000,
    ],
)
async def test_text_outside_the_protocol_ends_the_connection(worker: Worker, backend: Backend, text: str) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send_text(text)
        assert await socket.refused() == ("invalid_message", 4400)
    assert (await row(worker)).status == SessionStatus.IN_PROGRESS


async def test_a_ping_is_answered_while_a_frame_is_in_work(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.astronaut)
        await gate.somebody_arrived()
        await socket.say("ping")
        assert await socket.receive() == {"type": "pong"}
        gate.open()
        assert (await socket.receive())["type"] == "frame_processed"


async def test_a_cancelled_session_is_told_so_and_closed(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut)
        await socket.say("cancel")
        done = await socket.receive()
        assert (done["type"], done["success"], done["reason"]) == ("enrollment_complete", False, "cancelled")
        assert await socket.closed() == 1000
    assert (await row(worker)).status == SessionStatus.CANCELLED
    assert await count(worker, Template) == 0


async def test_nothing_follows_the_result(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.nobody)
        await gate.somebody_arrived()
        await socket.say("cancel")
        assert (await socket.receive())["type"] == "enrollment_complete"
        gate.open()
        assert await socket.closed() == 1000


async def test_a_frame_after_the_result_only_closes(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.say("cancel")
        assert (await socket.receive())["reason"] == "cancelled"
        await socket.send(faces.astronaut)
        assert await socket.closed() == 1000


@pytest.mark.parametrize("picture", ["astronaut", "nobody"])
async def test_of_two_sockets_on_one_token_the_older_is_told(
    worker: Worker, backend: Backend, faces: Faces, picture: str
) -> None:
    shared = await token(worker, backend)
    async with connect(shared) as older:
        await older.greeted()
        await older.ask(getattr(faces, picture))
        async with connect(shared) as newer:
            assert (await newer.greeted())["resumed"] is True
            await older.send(getattr(faces, picture))
            assert await older.refused() == ("replaced", 4409)
            assert (await newer.ask(faces.astronaut))["samples"]["accepted"] >= 1


async def test_a_superseded_socket_cannot_cancel(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with two_sockets(await token(worker, backend)) as (older, newer):
        await older.say("cancel")
        assert await older.refused() == ("replaced", 4409)
        assert (await newer.ask(faces.astronaut))["type"] == "frame_processed"
    assert (await row(worker)).status == SessionStatus.IN_PROGRESS


async def test_a_frame_in_work_decides_nothing_once_its_socket_is_superseded(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate), size=2)
    shared = await token(worker, backend, asked("enrollment", "alice", target_samples=1))
    async with connect(shared) as older:
        await older.greeted()
        await older.send(faces.astronaut)
        await gate.somebody_arrived()
        async with connect(shared) as newer:
            await newer.greeted()
            gate.open()
            assert await older.refused() == ("replaced", 4409)
            assert await count(worker, Decision) == await count(worker, Template) == 0
            _, done = await until_complete(newer, faces.astronaut)
    assert done["success"]
    assert await count(worker, Template) == 1


async def test_the_older_of_two_sockets_does_not_end_the_session_at_its_time_limit(
    backend: Backend, configure: Configure
) -> None:
    worker = configure(recognition_time_limit_s=2.0)
    async with two_sockets(await token(worker, backend, ANYONE)) as (older, newer):
        messages = [await older.receive(), await newer.receive()]
    told = [message["decision_token"] for message in messages if "decision_token" in message]
    assert len(set(told)) == 1
    assert await count(worker, Decision) == 1


async def test_an_unknown_token_is_accepted_told_and_closed(worker: Worker, backend: Backend) -> None:
    async with connect("unknown") as socket:
        assert await socket.refused() == ("unknown_token", 4401)


async def test_a_used_token_is_refused(worker: Worker, backend: Backend) -> None:
    used = await token(worker, backend)
    async with connect(used) as socket:
        await socket.greeted()
        await socket.say("cancel")
        assert (await socket.receive())["type"] == "enrollment_complete"
    async with connect(used) as socket:
        assert await socket.refused() == ("unknown_token", 4401)


@pytest.mark.parametrize("code", [1005, 1006])
async def test_who_is_cut_off_from_the_result_hears_it_again_and_once_heard_the_token_is_used(
    worker: Worker, backend: Backend, code: int
) -> None:
    used = await token(worker, backend)
    async with connect(used) as socket:
        await socket.greeted()
        await socket.say("cancel")
        first = await socket.receive()
        await socket.close(code)
    async with connect(used) as socket:
        assert await socket.receive() == first
        await socket.close(1000)
    async with connect(used) as socket:
        assert await socket.refused() == ("unknown_token", 4401)


async def test_an_expired_token_is_refused(backend: Backend, configure: Configure) -> None:
    worker = configure(token_ttl_s=-1.0)
    async with connect(await token(worker, backend)) as socket:
        assert await socket.refused() == ("unknown_token", 4401)
    assert (await row(worker)).status == SessionStatus.EXPIRED


async def test_a_session_id_is_no_token(worker: Worker, backend: Backend) -> None:
    await token(worker, backend)
    async with connect(str((await row(worker)).id)) as socket:
        assert await socket.refused() == ("unknown_token", 4401)


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"https://face.example.evil.example", b"http://", b"http://[::1"]
)
async def test_a_page_of_another_site_is_refused(worker: Worker, backend: Backend, origin: bytes) -> None:
    async with connect(await token(worker, backend), [(b"host", b"face.example"), (b"origin", origin)]) as socket:
        assert await socket.refused() == ("refused", 4403)
    assert (await row(worker)).status == SessionStatus.CREATED


async def test_our_own_page_is_welcome(worker: Worker, backend: Backend) -> None:
    headers = [(b"host", b"face.example:8003"), (b"origin", b"https://face.example:8003")]
    async with connect(await token(worker, backend), headers) as socket:
        await socket.greeted()


async def test_an_origin_that_was_allowed_is_welcome(backend: Backend, configure: Configure) -> None:
    worker = configure(allowed_origins=("https://app.example",))
    headers = [(b"host", b"face.example"), (b"origin", b"https://app.example")]
    async with connect(await token(worker, backend), headers) as socket:
        await socket.greeted()


async def test_the_public_address_is_welcome_behind_a_proxy_that_passes_no_host(
    backend: Backend, configure: Configure
) -> None:
    worker = configure(public_url=PublicUrl.parse("https://face.example/face"))
    headers = [(b"host", b"127.0.0.1:8003"), (b"origin", b"https://face.example")]
    async with connect(await token(worker, backend), headers) as socket:
        await socket.greeted()


async def test_a_refused_page_is_told_what_to_set_and_the_log_once(
    worker: Worker, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    for _ in range(2):
        headers = [(b"host", b"127.0.0.1:8003"), (b"origin", b"https://face.example")]
        async with connect(await token(worker, backend), headers) as socket:
            told = (await socket.receive())["message"]
        assert all(word in told for word in ("FACE_PUBLIC_URL", "FACE_ALLOWED_ORIGINS", "proxy should pass Host"))
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [ORIGIN_ADVICE]


async def test_an_unexpected_error_ends_its_connection_and_no_other(
    worker: Worker, backend: Backend, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Lease.save
    doomed = await token(worker, backend)

    def fail_for_the_doomed(lease: Lease) -> None:
        if lifecycle.token_of(worker.deciding, lease.session) == doomed:
            raise RuntimeError("the disk is full of secrets")
        save(lease)

    monkeypatch.setattr(Lease, "save", fail_for_the_doomed)
    async with connect(doomed) as socket, connect(await token(worker, backend)) as other:
        await socket.greeted()
        await other.greeted()
        await socket.send(faces.astronaut)
        error = await socket.receive()
        assert (error["code"], error["retryable"]) == ("internal", True)
        assert "secrets" not in error["message"]
        assert await socket.closed() == 1011
        assert (await other.ask(faces.astronaut))["samples"]["accepted"] == 1


async def test_a_database_that_fails_while_connecting_is_told(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("no database")

    valid = await token(worker, backend)
    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, "connect_by_token", fail)
        async with connect(valid) as socket:
            assert await socket.refused() == ("internal", 1011)
    async with connect(valid) as socket:
        await socket.greeted()


async def test_a_reconnect_goes_on_with_the_samples_that_were_taken(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    shared = await token(worker, backend)
    async with connect(shared) as socket:
        first = await socket.greeted()
        assert (await socket.ask(faces.astronaut))["samples"]["accepted"] == 1
    async with connect(shared) as socket:
        second = await socket.greeted()
        answer = await socket.ask(faces.astronaut)
        assert answer["samples"]["accepted"] >= 1
        _, done = await until_complete(socket, faces.astronaut)
    assert (first["resumed"], second["resumed"]) == (False, True)
    assert second["expires_at"] == first["expires_at"]
    assert done["success"]
    assert await count(worker, Template) == 3


async def test_another_person_after_a_reconnect_is_noticed(worker: Worker, backend: Backend, faces: Faces) -> None:
    shared = await token(worker, backend)
    async with connect(shared) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut)
    async with connect(shared) as socket:
        await socket.greeted()
        _, done = await until_complete(socket, faces.hopper)
    assert (done["success"], done["reason"]) == (False, "face_changed")


async def test_a_drop_of_the_network_does_not_end_the_session(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut)
    assert (await row(worker)).status == SessionStatus.IN_PROGRESS


async def test_a_disconnect_during_inference_leaks_nothing(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    changed = use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.astronaut)
        await gate.somebody_arrived()
    assert changed.engine.pool_status().in_use == 1
    gate.open()
    await became(lambda: changed.engine.pool_status().in_use == 0, "the instance came back")
    assert changed.engine.pool_status().available == 1
    async with connect(await token(worker, backend, ANYONE)) as socket:
        await socket.greeted()
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"


async def test_a_disconnect_while_waiting_leaks_nothing(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    changed = use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as first:
        await first.greeted()
        await first.send(faces.astronaut)
        await gate.somebody_arrived()
        async with connect(await token(worker, backend, ANYONE)) as second:
            await second.greeted()
            await second.send(faces.astronaut)
            await became(lambda: changed.executor.statistics().waiting == 1, "the second frame waits")
        assert changed.executor.statistics().waiting == 0
        gate.open()
        assert (await first.receive())["type"] == "frame_processed"
    assert changed.executor.statistics().in_use == changed.engine.pool_status().in_use == 0


async def test_a_sandbox_analyses_and_stores_nothing(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect("test_anything") as socket:
        greeting = await socket.greeted()
        answers = [await socket.ask(encode_jpeg(astronaut(), 80 + quality)) for quality in range(12)]
        await socket.say("cancel")
        assert await socket.closed() == 1000
    assert (greeting["kind"], greeting["challenge"], greeting["resumed"]) == ("sandbox", None, False)
    assert {answer["type"] for answer in answers} == {"frame_processed"}
    assert answers[-1]["liveness"]["passive"] == "passed"
    assert [await count(worker, model) for model in (Session, Decision, Template)] == [0, 0, 0]


async def test_the_same_picture_again_and_again_is_one_observation(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect("test_anything") as socket:
        await socket.greeted()
        answers = [await socket.ask(faces.astronaut) for _ in range(6)]
    assert {answer["liveness"]["passive"] for answer in answers} == {"pending"}
    assert len({answer["liveness"]["progress"] for answer in answers}) == 1


async def test_two_sandboxes_do_not_meet(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect("test_x") as first, connect("test_x") as second:
        assert (await first.greeted())["session_id"] != (await second.greeted())["session_id"]
        assert (await first.ask(faces.astronaut))["type"] == "frame_processed"
        assert (await second.ask(faces.hopper))["type"] == "frame_processed"


async def test_a_sandbox_must_be_allowed(backend: Backend, configure: Configure) -> None:
    configure(sandbox=False)
    async with connect("test_anything") as socket:
        assert await socket.refused() == ("unknown_token", 4401)


async def test_a_backend_that_cancels_ends_the_socket(worker: Worker, backend: Backend, faces: Faces) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await worker.database.run(lifecycle.cancel, worker.deciding, await row(worker))
        done = await socket.ask(faces.astronaut)
        assert (done["type"], done["reason"]) == ("enrollment_complete", "cancelled")
        assert await socket.closed() == 1000
