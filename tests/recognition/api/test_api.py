"""Sessions, tokens, errors and documents over HTTP."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from dataclasses import replace
from typing import Any, cast

import httpx
import jwt
import pytest
from django.conf import LazySettings

from config.public_url import PublicUrl
from config.settings import Settings
from gallery.models import Template
from recognition.models import Session
from recognition.tokens.signing import ACCESS_AUDIENCE, DECISION_AUDIENCE, ISSUER
from recognition.worker import Worker
from tenants.models import ApiKey, Tenant
from tests.recognition.conftest import Configure, UseMeshes
from tests.recognition.support import Backend, Faces, Gate, GatedMesh, Message, RaisingMesh, http_client, service

SESSIONS = "/api/v1/sessions/"
DEMO = "/demo/sessions/"
JPEG = {"content-type": "image/jpeg"}
JSON = {"content-type": "application/json"}
NOBODY = str(uuid.UUID(int=0))


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Check the error envelope; returns status and code."""
    content = response.json()
    assert content.keys() == {"error", "request_id"}, content
    assert content["error"].keys() == {"code", "message", "details"}
    assert content["error"]["message"]
    assert content["request_id"] == response.headers["x-request-id"]
    return response.status_code, content["error"]["code"]


async def begin(api: httpx.AsyncClient, kind: str = "enrollment", **fields: Any) -> Message:
    body = {"kind": kind, "liveness": "none", **({"subject_id": "alice"} if kind != "identification" else {}), **fields}
    response = await api.post(SESSIONS, json=body)
    assert response.status_code == 201, response.text
    created: Message = response.json()
    return created


async def post_frames(client: httpx.AsyncClient, session_id: str, frame: dict[str, Any]) -> list[Message]:
    """Send one picture repeatedly until the session is decided."""
    answers: list[Message] = []
    for _ in range(40):
        response = await client.post(f"{SESSIONS}{session_id}/frames/", **frame)
        assert response.status_code == 200, response.text
        answers.append(response.json())
        if answers[-1]["type"] != "frame_processed":
            return answers
    raise AssertionError(f"no result; the last answer was {answers[-1]}")


async def test_an_api_key_buys_an_access_token(api: httpx.AsyncClient, worker: Worker) -> None:
    answer = (await api.post("/api/v1/auth/token/")).json()
    assert answer == {
        "access_token": answer["access_token"],
        "token_type": "Bearer",
        "expires_in": worker.settings.access_token_ttl_s,
    }
    async with http_client(answer["access_token"]) as client:
        assert (await client.get("/api/v1/subjects/")).status_code == 200


async def test_the_scheme_of_the_authorization_is_written_in_any_case(backend: Backend) -> None:
    async with http_client(None) as client:
        response = await client.post("/api/v1/auth/token/", headers={"authorization": f"bearer {backend.key}"})
    assert response.status_code == 200


async def test_an_access_token_buys_no_other(api: httpx.AsyncClient) -> None:
    token = (await api.post("/api/v1/auth/token/")).json()["access_token"]
    async with http_client(token) as client:
        assert error_of(await client.post("/api/v1/auth/token/")) == (401, "unauthorized")


def signed_by(worker: Worker, tenant: Tenant, **claims: Any) -> str:
    now = int(time.time())
    key = ApiKey.objects.get(tenant=tenant)
    usual = {"iss": ISSUER, "aud": ACCESS_AUDIENCE, "iat": now, "exp": now + 60, "sub": str(tenant.pk)}
    keys = worker.deciding.signer._keys.current()
    content = {**usual, "key": str(key.public_id), "scope": "read", **claims}
    return jwt.encode(content, keys.private, "EdDSA", headers={"kid": keys.key_id})


async def signed(worker: Worker, tenant: Tenant, **claims: Any) -> str:
    token: str = await worker.database.run(lambda: signed_by(worker, tenant, **claims))
    return token


async def test_a_token_that_we_signed_is_accepted(worker: Worker, backend: Backend) -> None:
    async with http_client(await signed(worker, backend.tenant)) as client:
        assert (await client.get("/api/v1/subjects/")).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"aud": DECISION_AUDIENCE},
        {"iss": "somebody"},
        {"sub": "0"},
        {"sub": "alice"},
        {"key": NOBODY},
        {"key": "all"},
        {"key": None},
        {"scope": None},
    ],
    ids=[
        "expired",
        "a decision",
        "another issuer",
        "no such tenant",
        "no number",
        "no such key",
        "no id",
        "no key",
        "no scope",
    ],
)
async def test_a_token_of_another_kind_is_refused(worker: Worker, backend: Backend, claims: dict[str, Any]) -> None:
    async with http_client(await signed(worker, backend.tenant, **claims)) as client:
        assert error_of(await client.get("/api/v1/subjects/")) == (401, "unauthorized")


async def test_a_tampered_token_is_refused(api: httpx.AsyncClient) -> None:
    token = (await api.post("/api/v1/auth/token/")).json()["access_token"]
    head, body, signature = token.split(".")
    other = "A" if signature[0] != "A" else "B"
    async with http_client(f"{head}.{body}.{other}{signature[1:]}") as client:
        assert error_of(await client.get("/api/v1/subjects/")) == (401, "unauthorized")


async def test_a_token_signed_by_nobody_is_refused(backend: Backend) -> None:
    claims = {"iss": ISSUER, "aud": ACCESS_AUDIENCE, "exp": int(time.time()) + 60, "sub": str(backend.tenant.pk)}
    async with http_client(jwt.encode(claims, "", "none")) as client:
        assert error_of(await client.get("/api/v1/subjects/")) == (401, "unauthorized")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer fk_wrong", "Basic YTpi", "fk_wrong"])
async def test_without_a_valid_key_nothing_is_answered(backend: Backend, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    async with http_client(None) as client:
        for method, path in (
            ("POST", "/api/v1/auth/token/"),
            ("POST", SESSIONS),
            ("GET", f"{SESSIONS}{NOBODY}/"),
            ("DELETE", f"{SESSIONS}{NOBODY}/"),
            ("POST", f"{SESSIONS}{NOBODY}/frames/"),
            ("GET", "/api/v1/subjects/"),
            ("DELETE", "/api/v1/subjects/alice/"),
            ("POST", "/api/v1/subjects/alice/templates/"),
            ("POST", "/api/v1/faces/detect/"),
            ("POST", "/api/v1/faces/search/"),
        ):
            response = await client.request(method, path, headers=headers)
            assert error_of(response) == (401, "unauthorized"), path
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing/here", (404, "not_found")),
        ("GET", "/api/v1/nothing/", (404, "not_found")),
        ("GET", f"{SESSIONS}not-a-uuid/", (404, "not_found")),
        ("GET", f"{SESSIONS}{NOBODY}/", (404, "session_not_found")),
        ("DELETE", f"{SESSIONS}{NOBODY}/", (404, "session_not_found")),
        ("GET", "/api/v1/subjects/nobody/", (404, "subject_not_found")),
        ("DELETE", "/api/v1/subjects/nobody/", (404, "subject_not_found")),
        ("GET", "/api/v1/subjects/nobody/templates/", (404, "subject_not_found")),
        ("DELETE", f"/api/v1/subjects/nobody/templates/{NOBODY}/", (404, "subject_not_found")),
        ("PUT", SESSIONS, (405, "method_not_allowed")),
        ("GET", "/api/v1/faces/detect/", (405, "method_not_allowed")),
        ("POST", f"{SESSIONS}{NOBODY}/", (405, "method_not_allowed")),
    ],
)
async def test_every_error_looks_the_same(
    api: httpx.AsyncClient, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert error_of(await api.request(method, path)) == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"kind":"dance"}', 422),
        (b'{"kind":"enrollment"}', 422),
        (b'{"kind":"identification","subject_id":"alice"}', 422),
        (b'{"kind":"identification","liveness":"sometimes"}', 422),
        (b'{"kind":"identification","surprise":1}', 422),
        (b'{"kind":"enrollment","subject_id":"a b"}', 422),
        (b'{"kind":"enrollment","subject_id":"alice","target_samples":0}', 422),
        (b'{"kind":"enrollment","subject_id":"alice","target_samples":11}', 422),
        (b'{"kind":"identification","metadata":[]}', 422),
        (b'{"kind":"authentication","subject_id":"nobody"}', 404),
    ],
)
async def test_a_session_that_cannot_be_is_refused(
    api: httpx.AsyncClient, worker: Worker, body: bytes, status: int
) -> None:
    response = await api.post(SESSIONS, content=body, headers=JSON)
    assert error_of(response)[0] == status
    assert await worker.database.run(Session.across_tenants.count) == 0


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", rb'"\ud800"', rb'"\u0000"', rb'"\\\u0000"'])
async def test_metadata_that_no_database_can_keep_is_refused(api: httpx.AsyncClient, value: bytes) -> None:
    for path, rest in ((SESSIONS, b'"kind":"identification"'), ("/api/v1/subjects/", b'"subject_id":"alice"')):
        body = b'{"metadata":{"nested":[%s]},%s}' % (value, rest)
        assert error_of(await api.post(path, content=body, headers=JSON)) == (422, "validation_error")


async def test_metadata_that_only_looks_strange_is_kept(api: httpx.AsyncClient) -> None:
    metadata = {"a": r"\u0000", "b": "😀", "c": [None, 1.5, {"d": "é"}]}
    created = await begin(api, "identification", metadata=metadata)
    assert (await api.get(f"{SESSIONS}{created['id']}/")).json()["metadata"] == metadata


async def test_what_is_wrong_is_told_field_by_field(api: httpx.AsyncClient) -> None:
    response = await api.post(SESSIONS, json={"kind": "dance", "target_samples": 99})
    assert error_of(response) == (422, "validation_error")
    assert {detail["field"] for detail in response.json()["error"]["details"]} == {"kind", "target_samples"}


async def test_a_new_session_has_every_field_of_the_contract(api: httpx.AsyncClient) -> None:
    created = await begin(api, "identification", liveness="active", metadata={"door": 7})
    assert created.keys() == {"id", "token", "websocket_url", "expires_at", "status", "challenge"}
    assert created["status"] == "created"
    assert created["websocket_url"] == f"ws://testserver/ws/auth/process-image/{created['token']}/"
    assert created["challenge"]["steps"]
    session = (await api.get(f"{SESSIONS}{created['id']}/")).json()
    assert session["metadata"] == {"door": 7}
    assert (session["status"], session["decision"], session["decision_token"]) == ("created", None, None)
    assert "token" not in session


@pytest.mark.parametrize(
    ("public_url", "socket_base"),
    [("https://face.example/face", "wss://face.example/face"), ("http://10.0.0.1:8080", "ws://10.0.0.1:8080")],
)
async def test_the_public_address_rules_the_sockets(
    api: httpx.AsyncClient, configure: Configure, public_url: str, socket_base: str
) -> None:
    configure(public_url=PublicUrl.parse(public_url))
    created = await begin(api, "identification")
    assert created["websocket_url"] == f"{socket_base}/ws/auth/process-image/{created['token']}/"


async def test_the_same_idempotency_key_gives_the_same_answer(api: httpx.AsyncClient) -> None:
    body, key = {"kind": "identification"}, {"Idempotency-Key": "order-1"}
    first, second = [await api.post(SESSIONS, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = await api.post(SESSIONS, json={"kind": "identification", "liveness": "none"}, headers=key)
    assert error_of(other) == (409, "idempotency_conflict")


async def test_an_idempotency_key_that_is_too_long_is_refused(api: httpx.AsyncClient) -> None:
    response = await api.post(SESSIONS, json={"kind": "identification"}, headers={"Idempotency-Key": "k" * 256})
    assert error_of(response) == (422, "validation_error")


@pytest.mark.parametrize("multipart", [False, True], ids=["image body", "multipart"])
async def test_frames_over_http_drive_a_whole_enrolment(
    api: httpx.AsyncClient, worker: Worker, faces: Faces, multipart: bool
) -> None:
    created = await begin(api)
    frame: dict[str, Any] = {"files": {"image": faces.astronaut}} if multipart else {"content": faces.astronaut}
    answers = await post_frames(api, created["id"], frame if multipart else {**frame, "headers": JPEG})
    assert [answer["seq"] for answer in answers[:-1]] == list(range(1, len(answers)))
    done = answers[-1]
    assert (done["type"], done["success"], done["subject_id"]) == ("enrollment_complete", True, "alice")
    session = (await api.get(f"{SESSIONS}{created['id']}/")).json()
    assert (session["status"], session["decision_token"]) == ("succeeded", done["decision_token"])
    assert session["decision"]["subject_id"] == "alice"
    assert await worker.database.run(Template.across_tenants.count) == 3


async def test_a_client_without_a_key_drives_its_session_with_the_sessions_token(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    created = await begin(api)
    async with http_client(created["token"]) as client:
        answers = await post_frames(client, created["id"], {"content": faces.astronaut, "headers": JPEG})
    assert answers[-1]["success"]


async def test_a_sessions_token_opens_nothing_else(api: httpx.AsyncClient, faces: Faces) -> None:
    mine, other = await begin(api), await begin(api, "identification")
    async with http_client(mine["token"]) as client:
        frame = await client.post(f"{SESSIONS}{other['id']}/frames/", content=faces.astronaut, headers=JPEG)
        assert error_of(frame) == (404, "session_not_found")
        for method, path in (
            ("GET", f"{SESSIONS}{mine['id']}/"),
            ("DELETE", f"{SESSIONS}{mine['id']}/"),
            ("GET", "/api/v1/subjects/"),
            ("POST", "/api/v1/auth/token/"),
        ):
            assert error_of(await client.request(method, path)) == (401, "unauthorized")


async def test_a_person_is_recognised_and_another_is_not(api: httpx.AsyncClient, faces: Faces) -> None:
    await post_frames(api, (await begin(api))["id"], {"content": faces.astronaut, "headers": JPEG})
    for kind in ("authentication", "identification"):
        for picture, matched in ((faces.astronaut_again, True), (faces.hopper, False)):
            created = await begin(api, kind)
            done = (await post_frames(api, created["id"], {"content": picture, "headers": JPEG}))[-1]
            assert (done["success"], done["subject_id"]) == (matched, "alice" if matched else None)
            assert "similarity" not in done
            decision = (await api.get(f"{SESSIONS}{created['id']}/")).json()["decision"]
            assert decision["matched"] is matched
            assert (decision["similarity"] >= decision["threshold"]) is matched
            assert decision["reasons"] == ([] if matched else ["no_match"])


async def test_the_decision_token_is_proved_by_the_published_keys(api: httpx.AsyncClient, faces: Faces) -> None:
    created = await begin(api)
    done = (await post_frames(api, created["id"], {"content": faces.astronaut, "headers": JPEG}))[-1]
    async with http_client(None) as public:
        published = await public.get("/.well-known/jwks.json")
    keys = jwt.PyJWKSet.from_dict(published.json())
    assert "d" not in published.json()["keys"][0]
    kid = jwt.get_unverified_header(done["decision_token"])["kid"]
    claims = jwt.decode(done["decision_token"], keys[kid], ["EdDSA"], audience=DECISION_AUDIENCE)
    assert claims.keys() >= {"session", "nonce", "subject", "outcome", "liveness", "models", "iat", "exp"}
    assert (claims["session"], claims["subject"], claims["outcome"]) == (created["id"], "alice", "success")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (422, "invalid_image")),
        (b"nonsense", (422, "invalid_image")),
        (b"GIF89a" + bytes(40), (415, "unsupported_format")),
    ],
)
async def test_a_bad_frame_is_refused_and_the_session_goes_on(
    api: httpx.AsyncClient, faces: Faces, data: bytes, expected: tuple[int, str]
) -> None:
    created = await begin(api)
    path = f"{SESSIONS}{created['id']}/frames/"
    assert error_of(await api.post(path, content=data, headers=JPEG)) == expected
    answer = (await api.post(path, content=faces.astronaut, headers=JPEG)).json()
    assert answer["samples"] == {"accepted": 1, "target": 3}


async def test_whoever_sends_frames_by_http_counts_as_one_session_for_the_others(
    api: httpx.AsyncClient, faces: Faces, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    monkeypatch.setattr(worker.executor.pacer, "heard_from", heard.append)
    created = await begin(api)
    for _ in range(3):
        await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.astronaut, headers=JPEG)
    assert heard == [created["id"]] * 3


async def test_a_frame_over_the_limit_is_too_large(api: httpx.AsyncClient, faces: Faces, configure: Configure) -> None:
    configure(max_image_bytes=len(faces.astronaut) - 1)
    created = await begin(api)
    response = await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.astronaut, headers=JPEG)
    assert error_of(response) == (413, "image_too_large")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, (422, "validation_error")),
        ({"json": {"image": "x"}}, (415, "unsupported_media_type")),
        ({"files": {"picture": b"x"}}, (422, "validation_error")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, (400, "bad_request")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, (422, "validation_error")),
    ],
    ids=["nothing", "json", "another field", "no boundary", "no part"],
)
async def test_a_request_without_a_picture_is_refused(
    api: httpx.AsyncClient, request_: dict[str, Any], expected: tuple[int, str]
) -> None:
    created = await begin(api)
    assert error_of(await api.post(f"{SESSIONS}{created['id']}/frames/", **request_)) == expected


async def test_a_body_larger_than_any_request_may_be_is_refused(api: httpx.AsyncClient, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    created = await begin(api)
    response = await api.post(f"{SESSIONS}{created['id']}/frames/", content=bytes(1001), headers=JPEG)
    assert error_of(response) == (413, "request_too_large")


async def test_a_frame_for_a_session_that_is_over_is_refused(api: httpx.AsyncClient, faces: Faces) -> None:
    created = await begin(api)
    await api.delete(f"{SESSIONS}{created['id']}/")
    response = await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.astronaut, headers=JPEG)
    assert error_of(response) == (409, "session_over")


async def test_a_cancelled_session_says_so(api: httpx.AsyncClient) -> None:
    created = await begin(api)
    cancelled = await api.delete(f"{SESSIONS}{created['id']}/")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["decision"]["reasons"] == ["cancelled"]
    assert (await api.get(f"{SESSIONS}{created['id']}/")).json() == cancelled.json()


async def test_a_session_is_ended_when_it_is_read_after_its_time(
    api: httpx.AsyncClient, faces: Faces, configure: Configure
) -> None:
    configure(enrollment_time_limit_s=0.0)
    created = await begin(api)
    await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.nobody, headers=JPEG)
    session = (await api.get(f"{SESSIONS}{created['id']}/")).json()
    assert (session["status"], session["decision"]["reasons"]) == ("failed", ["timeout"])


async def test_a_session_that_nobody_connected_to_expires(api: httpx.AsyncClient, configure: Configure) -> None:
    configure(token_ttl_s=-1.0)
    created = await begin(api)
    session = (await api.get(f"{SESSIONS}{created['id']}/")).json()
    assert (session["status"], session["decision"]) == ("expired", None)


async def test_a_tenant_cannot_touch_the_session_of_another(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, faces: Faces
) -> None:
    created = await begin(api)
    path = f"{SESSIONS}{created['id']}/"
    frame = await rival_api.post(f"{path}frames/", content=faces.astronaut, headers=JPEG)
    for response in (await rival_api.get(path), await rival_api.delete(path), frame):
        assert error_of(response) == (404, "session_not_found")
    assert (await api.get(path)).json()["status"] == "created"


async def test_a_full_pool_is_told_with_a_time_to_come_back(
    api: httpx.AsyncClient, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    crowded = use_meshes(lambda: GatedMesh(worker.engine, gate), timeout_s=0.1)
    created = await begin(api)
    held = asyncio.create_task(crowded.executor.run(gate.pass_through))
    await gate.somebody_arrived()
    response = await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.astronaut, headers=JPEG)
    gate.open()
    await held
    assert error_of(response) == (503, "busy")
    assert int(response.headers["retry-after"]) >= 1


async def test_a_mesh_that_raises_is_told_as_busy(
    api: httpx.AsyncClient, faces: Faces, worker: Worker, use_meshes: UseMeshes
) -> None:
    use_meshes(lambda: RaisingMesh(worker.engine))
    created = await begin(api)
    frame = await api.post(f"{SESSIONS}{created['id']}/frames/", content=faces.astronaut, headers=JPEG)
    detect = await api.post("/api/v1/faces/detect/", content=faces.astronaut, headers=JPEG)
    assert error_of(frame) == error_of(detect) == (503, "busy")


async def test_an_unexpected_error_is_told_without_its_words(api: httpx.AsyncClient, worker: Worker) -> None:
    service.worker = replace(worker, deciding=replace(worker.deciding, settings=cast("Settings", None)))
    response = await api.post("/api/v1/auth/token/")
    assert error_of(response) == (500, "internal")
    assert "NoneType" not in response.text


async def test_a_valid_request_id_is_kept(api: httpx.AsyncClient) -> None:
    response = await api.get("/nothing/here", headers={"x-request-id": "trace-42"})
    assert response.headers.get_list("x-request-id") == ["trace-42"]
    assert response.json()["request_id"] == "trace-42"


@pytest.mark.parametrize("sent", [None, "", "has space", "x" * 129, "semi;colon", "<script>"])
async def test_every_answer_has_a_request_id_of_its_own(api: httpx.AsyncClient, sent: str | None) -> None:
    headers = {} if sent is None else {"x-request-id": sent}
    ids = [(await api.get(path, headers=headers)).headers["x-request-id"] for path in ("/api/health/", "/nothing")]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", id_) for id_ in ids)


async def test_a_host_that_is_not_ours_is_refused(backend: Backend, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["face.example"]
    async with http_client(backend.key) as client:
        response = await client.get("/api/v1/subjects/", headers={"host": "evil.example"})
    assert error_of(response) == (400, "bad_request")


async def test_the_openapi_document_names_every_route_of_the_contract(api: httpx.AsyncClient) -> None:
    document = (await api.get("/api/openapi.json")).json()
    told = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert told == {
        ("post", "/api/v1/auth/token/"),
        ("get", "/api/v1/audit/"),
        ("get", "/api/v1/subjects/{subject_id}/export/"),
        ("delete", "/api/v1/subjects/{subject_id}/consent/"),
        ("post", "/api/v1/subjects/{subject_id}/feedback/"),
        ("post", "/api/v1/sessions/"),
        ("get", "/api/v1/sessions/{session_id}/"),
        ("delete", "/api/v1/sessions/{session_id}/"),
        ("post", "/api/v1/sessions/{session_id}/frames/"),
        ("get", "/api/v1/subjects/"),
        ("post", "/api/v1/subjects/"),
        ("get", "/api/v1/subjects/{subject_id}/"),
        ("patch", "/api/v1/subjects/{subject_id}/"),
        ("delete", "/api/v1/subjects/{subject_id}/"),
        ("get", "/api/v1/subjects/{subject_id}/lock/"),
        ("delete", "/api/v1/subjects/{subject_id}/lock/"),
        ("get", "/api/v1/subjects/{subject_id}/templates/"),
        ("post", "/api/v1/subjects/{subject_id}/templates/"),
        ("delete", "/api/v1/subjects/{subject_id}/templates/{template_id}/"),
        ("post", "/api/v1/faces/detect/"),
        ("post", "/api/v1/faces/liveness/"),
        ("post", "/api/v1/faces/compare/"),
        ("post", "/api/v1/faces/verify/"),
        ("post", "/api/v1/faces/search/"),
        ("get", "/api/v1/jobs/{job_id}/report/"),
        ("get", "/api/v1/outcomes/"),
        ("get", "/api/v1/outcomes/{day}/"),
        ("get", "/api/v1/jobs/"),
        ("post", "/api/v1/jobs/"),
        ("get", "/api/v1/jobs/{job_id}/"),
        ("delete", "/api/v1/jobs/{job_id}/"),
        ("post", "/api/v1/jobs/{job_id}/retry/"),
        ("get", "/api/v1/keys/"),
        ("post", "/api/v1/keys/"),
        ("delete", "/api/v1/keys/{key_id}/"),
        ("post", "/api/v1/keys/{key_id}/rotate/"),
        ("get", "/api/v1/webhooks/"),
        ("post", "/api/v1/webhooks/"),
        ("get", "/api/v1/webhooks/{webhook_id}/"),
        ("patch", "/api/v1/webhooks/{webhook_id}/"),
        ("delete", "/api/v1/webhooks/{webhook_id}/"),
        ("post", "/api/v1/webhooks/{webhook_id}/rotate/"),
        ("post", "/api/v1/webhooks/{webhook_id}/test/"),
        ("get", "/api/v1/webhooks/{webhook_id}/deliveries/"),
        ("post", "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay/"),
        ("post", "/api/v1/webhooks/deliveries/{delivery_id}/replay/"),
    }


async def test_the_asyncapi_document_names_every_message_of_the_contract(api: httpx.AsyncClient) -> None:
    document = (await api.get("/api/asyncapi.json")).json()
    types: set[str] = set()
    for schema in document["components"]["schemas"].values():
        told = schema.get("properties", {}).get("type", {})
        types |= {told["const"]} if "const" in told else set(told.get("enum", []))
    assert types == {
        "frame",
        "ping",
        "cancel",
        "connection_established",
        "frame_processed",
        "enrollment_complete",
        "authentication_complete",
        "identification_complete",
        "error",
        "pong",
        "server_draining",
    }


async def test_the_documentation_page_is_served(backend: Backend) -> None:
    async with http_client(None) as client:
        response = await client.get("/api/docs")
        assert response.status_code == 200
        needed = re.findall(r'(?:src|href)="([^"]+)"', response.text)
        assert any("swagger-ui-bundle" in link for link in needed)
        for link in needed:
            assert re.match(r"\.\./static/|openapi\.json$|data:,$", link), "nothing is taken from another host"
            if not link.startswith("data:"):
                assert (await client.get(str(response.url.join(link)))).status_code == 200, link
