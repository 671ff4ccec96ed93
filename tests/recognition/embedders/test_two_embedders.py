"""A service with the embedder before serves each gallery with its own, and no session compares across a move."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest

from audit.models import AuditEntry
from core.errors import ModelError
from core.features.embedder.profile import PINNED
from core.liveness.policy import Policy
from gallery.models import Template
from gallery.reembedding import move
from recognition.background.reembed import embedder
from recognition.deciding import Deciding
from recognition.models import Decision, Session
from recognition.sessions import checkpoints
from recognition.sessions.state import Flow, Match
from recognition.worker import Worker
from tenants.models import Tenant
from tests.recognition.sessions.test_state import ALICE as MATCH
from tests.recognition.sessions.test_state import watch
from tests.recognition.support import (
    Backend,
    Faces,
    asked,
    connect,
    in_database,
    service,
    token,
    until_complete,
)
from vocabulary.sessions import Purpose

SUBJECT = "/api/v1/subjects/{}/templates/"
SEARCH, VERIFY, COMPARE = (f"/api/v1/faces/{name}/" for name in ("search", "verify", "compare"))


def jpeg(data: bytes, field: str = "image") -> dict[str, Any]:
    return {field: ("face.jpg", data, "image/jpeg")}


async def enrol(api: httpx.AsyncClient, subject_id: str, data: bytes) -> None:
    answer = await api.post(SUBJECT.format(subject_id), files=jpeg(data, "images"))
    assert answer.status_code == 201, answer.text


async def found(api: httpx.AsyncClient, data: bytes) -> list[tuple[str, float]]:
    answer = await api.post(SEARCH, files=jpeg(data))
    assert answer.status_code == 200, answer.text
    return [(match["subject_id"], match["similarity"]) for match in answer.json()["matches"]]


def models(tenant: Tenant) -> list[str]:
    return list(Template.objects.filter(tenant=tenant).order_by("pk").values_list("model_id", flat=True))


def keep_pictures(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=30)


def move_to(worker: Worker, tenant: Tenant) -> None:
    move(tenant, worker.deciding.gallery, embedder(worker.deciding), lambda *_: None, erase_unmovable=False)


@pytest.fixture
async def keeping(worker: Worker, backend: Backend) -> Backend:
    await in_database(worker, keep_pictures, backend.tenant)
    return backend


async def test_each_gallery_is_served_with_its_own_embedder(
    worker: Worker,
    both_embedders: Worker,
    api: httpx.AsyncClient,
    rival_api: httpx.AsyncClient,
    faces: Faces,
    backend: Backend,
    rival: Backend,
) -> None:
    await enrol(api, "alice", faces.astronaut)
    two = [("images", ("a.jpg", data, "image/jpeg")) for data in (faces.astronaut, faces.astronaut_again)]
    before = await found(api, faces.astronaut_again), (await api.post(COMPARE, files=two)).json()
    service.worker = both_embedders
    assert (await found(api, faces.astronaut_again), (await api.post(COMPARE, files=two)).json()) == before
    verified = await api.post(VERIFY, files=jpeg(faces.astronaut_again), data={"subject_id": "alice"})
    assert verified.json()["match"]
    await enrol(api, "grace", faces.hopper)
    await enrol(rival_api, "alice", faces.astronaut)
    former, new = worker.deciding.gallery.model_id, both_embedders.deciding.gallery.model_id
    assert await in_database(worker, models, backend.tenant) == [former, former]
    assert await in_database(worker, models, rival.tenant) == [new]
    assert [name for name, _ in await found(rival_api, faces.astronaut_again)] == ["alice"]
    assert "templates" not in (await api.get("/api/ready/")).json()["components"]


async def test_a_decision_names_the_embedder_that_made_it(
    worker: Worker, both_embedders: Worker, alice: Backend, faces: Faces
) -> None:
    service.worker = both_embedders
    secret = await token(both_embedders, alice, asked("authentication", "alice"))
    async with connect(secret) as socket:
        await socket.greeted()
        assert (await until_complete(socket, faces.astronaut_again))[1]["success"]
    decision = await in_database(worker, Decision.across_tenants.get)
    claims = jwt.decode(decision.token, options={"verify_signature": False})
    assert claims["models"]["fr_feature"] == worker.deciding.gallery.profile.sha256


async def test_a_moved_gallery_is_served_with_the_new_one_from_the_next_request_on(
    both_embedders: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, "alice", faces.astronaut)
    service.worker = both_embedders
    await enrol(api, "grace", faces.hopper)
    ids = [item["id"] for item in (await api.get(SUBJECT.format("alice"))).json()["items"]]
    await in_database(both_embedders, move_to, both_embedders, keeping.tenant)
    assert set(await in_database(both_embedders, models, keeping.tenant)) == {both_embedders.deciding.gallery.model_id}
    assert [name for name, _ in await found(api, faces.astronaut_again)] == ["alice"]
    assert [name for name, _ in await found(api, faces.hopper)] == ["grace"]
    assert [item["id"] for item in (await api.get(SUBJECT.format("alice"))).json()["items"]] == ids
    (moved,) = await in_database(
        both_embedders, lambda: list(AuditEntry.across_tenants.filter(kind="gallery_moved").values_list("details"))
    )
    assert moved[0]["templates"] == 2


async def overtaken(both: Worker, keeping: Backend, socket: Any, data: bytes) -> Flow:
    """The flow of a session that has seen a frame; then its gallery is moved."""
    await socket.greeted()
    await socket.ask(data)
    found: list[Flow] = await in_database(both, flows, both)
    (before,) = found
    assert both.deciding.former is not None
    assert before.model_id == both.deciding.former.model_id
    assert before.anchor
    await in_database(both, move_to, both, keeping.tenant)
    return before


async def refused(socket: Any, data: bytes) -> None:
    """The answers to frames end with an error after which the client connects again."""
    for _ in range(30):
        message = await socket.ask(data)
        if message["type"] == "error":
            assert (message["code"], message["retryable"]) == ("unavailable", True)
            assert await socket.closed() == 1013
            return
    raise AssertionError("no error came")


async def test_an_identification_that_a_move_overtook_begins_anew(
    both_embedders: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, "alice", faces.astronaut)
    service.worker = both_embedders
    secret = await token(both_embedders, keeping, asked("identification", "", Policy.PASSIVE))
    async with connect(secret) as socket:
        before = await overtaken(both_embedders, keeping, socket, faces.astronaut_again)
        assert before.match is not None
        await refused(socket, faces.astronaut_again)
    async with connect(secret) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut_again)
    (after,) = await in_database(both_embedders, flows, both_embedders)
    assert after.model_id == both_embedders.deciding.gallery.model_id
    assert after.match is not None
    assert after.match.subject_id == "alice"
    assert after.anchor != before.anchor


async def test_an_enrolment_that_a_move_overtook_stores_nothing_of_the_former_embedder(
    both_embedders: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, "alice", faces.astronaut)
    service.worker = both_embedders
    secret = await token(both_embedders, keeping, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await overtaken(both_embedders, keeping, socket, faces.astronaut_again)
        await refused(socket, faces.astronaut_again)
    new = both_embedders.deciding.gallery.model_id
    assert await in_database(both_embedders, models, keeping.tenant) == [new]
    async with connect(secret) as socket:
        await socket.greeted()
        answers, result = await until_complete(socket, faces.astronaut_again)
    assert answers[0]["samples"] == {"accepted": 1, "target": 2}, "what was sampled before is not among them"
    assert result["success"]
    assert await in_database(both_embedders, models, keeping.tenant) == [new] * 3


async def test_a_session_over_rest_that_a_move_overtook_begins_anew(
    both_embedders: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, "alice", faces.astronaut)
    service.worker = both_embedders
    new = {"kind": "enrollment", "subject_id": "alice", "liveness": "none", "target_samples": 2}
    path = f"/api/v1/sessions/{(await api.post('/api/v1/sessions/', json=new)).json()['id']}/frames/"

    async def send() -> dict[str, Any]:
        answer = await api.post(path, content=faces.astronaut_again, headers={"content-type": "image/jpeg"})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    assert (await send())["samples"]["accepted"] == 1
    await in_database(both_embedders, move_to, both_embedders, keeping.tenant)
    answers = [await send()]
    while answers[-1]["type"] == "frame_processed":
        answers.append(await send())
    assert answers[0]["samples"]["accepted"] == 1
    assert answers[-1]["success"]
    held = await in_database(both_embedders, models, keeping.tenant)
    assert held == [both_embedders.deciding.gallery.model_id] * 3


def test_evidence_against_a_person_outlives_another_embedder() -> None:
    flow = Flow.begin(Purpose.AUTHENTICATION, "alice", Policy.PASSIVE, "", 1, 8)
    watch(flow, 0, match=Match("alice", 0.2, 0.4))
    watch(flow, 300, live_score=0.01, match=MATCH)
    low = list(flow.liveness.spoof.scores)
    assert flow.unmatched
    flow.begin_anew("another", PINNED)
    assert (flow.anchor, flow.match, flow.samples) == (b"", None, [])
    assert (flow.unmatched, flow.liveness.readings, list(flow.liveness.spoof.scores)) == (1, 0, low)
    assert flow.was_tried


async def test_a_checkpoint_of_before_goes_on_with_the_galleries_embedder(
    both_embedders: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    """A version that named no embedder wrote it, and the service was updated and got another embedder at once."""
    await enrol(api, "alice", faces.astronaut)
    service.worker = both_embedders
    secret = await token(both_embedders, keeping, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut_again)

    def as_before() -> None:
        session = Session.across_tenants.select_related("tenant").get()
        flow = checkpoints.read(session, both_embedders.deciding.gallery.protection)
        flow.model_id = ""
        checkpoint = checkpoints.write(flow, session, both_embedders.deciding.gallery.protection)
        Session.across_tenants.update(checkpoint=checkpoint)

    await in_database(both_embedders, as_before)
    async with connect(secret) as socket:
        await socket.greeted()
        _, result = await until_complete(socket, faces.astronaut_again)
    assert result["success"]
    assert both_embedders.deciding.former is not None
    assert set(await in_database(both_embedders, models, keeping.tenant)) == {both_embedders.deciding.former.model_id}


def test_the_embedder_in_use_is_no_former_one(worker: Worker) -> None:
    with pytest.raises(ModelError, match="FACE_FORMER_EMBEDDER=pinned is the embedder in use: unset it"):
        Deciding.load(worker.settings.model_copy(update={"former_embedder": "pinned"}))


def flows(worker: Worker) -> list[Flow]:
    sessions = Session.across_tenants.select_related("tenant").exclude(checkpoint="")
    return [checkpoints.read(session, worker.deciding.gallery.protection) for session in sessions]
