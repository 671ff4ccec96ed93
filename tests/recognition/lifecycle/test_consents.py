"""Consents are kept, can be required, are exported, and their withdrawal erases the templates."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.types import Embedding
from gallery.models import Consent, Feedback, Subject, Template
from recognition.models import Session
from recognition.worker import Worker
from tenants.liveness_policy import policy_of, set_policy
from testkit.service import REPOSITORY
from tests.recognition.api.test_api import error_of
from tests.recognition.failing import begun
from tests.recognition.support import Backend, Faces

ALICE = "/api/v1/subjects/alice/"
TERMS = {"text": "terms", "version": "2026-11"}


async def upload(client: httpx.AsyncClient, picture: bytes, consent: object = None) -> httpx.Response:
    data = {} if consent is None else {"consent": consent if isinstance(consent, str) else json.dumps(consent)}
    files = [("images", ("a.jpg", picture, "image/jpeg"))]
    return await client.post(f"{ALICE}templates/", files=files, data=data)


async def session(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"kind": "enrollment", "subject_id": "alice", "liveness": "none", "target_samples": 1, **fields}
    return await client.post("/api/v1/sessions/", json=body)


async def enrol(client: httpx.AsyncClient, created: dict[str, Any], picture: bytes) -> dict[str, Any]:
    for _ in range(60):
        url = f"/api/v1/sessions/{created['id']}/frames/"
        answer = await client.post(url, content=picture, headers={"content-type": "image/jpeg"})
        told: dict[str, Any] = answer.json()
        if told["type"].endswith("_complete"):
            return told
    raise AssertionError("the session was not decided")


async def consents(client: httpx.AsyncClient) -> list[tuple[str, str, str, bool]]:
    told = (await client.get(f"{ALICE}export/")).json()["consents"]
    return [(one["text"], one["version"], one["given_by"], one["withdrawn_at"] is None) for one in told]


@pytest.fixture
async def strict(backend: Backend, worker: Worker) -> Backend:
    policy = replace(policy_of(backend.tenant), consent_required=True)
    await worker.database.run(set_policy, backend.tenant, policy)
    return backend


async def test_a_consent_comes_with_pictures_or_with_a_session_and_is_exported(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    assert (await upload(api, faces.astronaut, TERMS)).status_code == 201
    created = await session(api, consent={"text": "terms", "version": "2027-01"})
    assert (await enrol(api, created.json(), faces.astronaut))["success"]
    assert await consents(api) == [("terms", "2026-11", "rest", True), ("terms", "2027-01", "rest", True)]


async def test_a_session_that_fails_keeps_no_consent(api: httpx.AsyncClient, faces: Faces, worker: Worker) -> None:
    created = (await session(api, consent=TERMS)).json()
    await api.delete(f"/api/v1/sessions/{created['id']}/")
    assert await worker.database.run(Consent.across_tenants.count) == 0


async def test_without_consent_nobody_is_enrolled_where_it_is_required(
    api: httpx.AsyncClient, strict: Backend, faces: Faces, worker: Worker
) -> None:
    assert error_of(await upload(api, faces.astronaut)) == (422, "consent_required")
    assert error_of(await session(api)) == (422, "consent_required")
    assert await worker.database.run(lambda: (Subject.across_tenants.count(), Session.across_tenants.count())) == (0, 0)
    assert (await upload(api, faces.astronaut, TERMS)).status_code == 201
    assert (await upload(api, faces.astronaut_again)).status_code == 201  # The consent is in force.
    assert (await session(api)).status_code == 201


@pytest.mark.parametrize(
    "consent", ["", "{", "[]", {"text": "terms"}, {**TERMS, "version": ""}, {**TERMS, "given_by": "page"}, {"text": 1}]
)
async def test_what_is_no_consent_is_refused(api: httpx.AsyncClient, faces: Faces, consent: object) -> None:
    assert error_of(await upload(api, faces.astronaut, consent)) == (422, "validation_error")
    assert (await api.get(ALICE)).status_code == 404


async def test_a_consent_is_for_an_enrolment(api: httpx.AsyncClient) -> None:
    answer = await session(api, kind="identification", subject_id=None, consent=TERMS)
    assert error_of(answer) == (422, "validation_error")


async def test_another_consent_is_another_request(api: httpx.AsyncClient) -> None:
    once = {"Idempotency-Key": "once"}
    body = {"kind": "enrollment", "subject_id": "alice"}
    assert (await api.post("/api/v1/sessions/", json={**body, "consent": TERMS}, headers=once)).status_code == 201
    again = await api.post("/api/v1/sessions/", json=body, headers=once)
    assert error_of(again) == (409, "idempotency_conflict")


async def test_withdrawing_erases_the_templates_and_ends_what_is_open(
    api: httpx.AsyncClient, strict: Backend, faces: Faces, worker: Worker
) -> None:
    await upload(api, faces.astronaut, TERMS)
    open_one = await worker.database.run(lambda: begun(worker, strict).session)
    assert (await api.delete(f"{ALICE}consent/")).status_code == 204
    assert await consents(api) == [("terms", "2026-11", "rest", False)]
    assert await worker.database.run(Template.across_tenants.count) == 0
    told = (await api.get(f"/api/v1/sessions/{open_one.pk}/")).json()
    assert (told["status"], told["decision"]["reasons"], told["subject_id"]) == ("failed", ["subject_gone"], None)
    assert (await api.post("/api/v1/faces/search/", files={"image": faces.astronaut})).json()["matches"] == []
    assert error_of(await upload(api, faces.astronaut)) == (422, "consent_required")
    assert (await upload(api, faces.astronaut, TERMS)).status_code == 201


async def test_withdrawing_erases_what_is_kept_of_the_face_with_others(
    api: httpx.AsyncClient, strict: Backend, faces: Faces, worker: Worker
) -> None:
    await upload(api, faces.astronaut, TERMS)
    await api.post("/api/v1/subjects/", json={"subject_id": "bob"})
    files, data = {"image": faces.astronaut}, {"correct": "false"}
    assert (await api.post("/api/v1/subjects/bob/feedback/", files=files, data=data)).status_code == 201
    assert (await api.delete(f"{ALICE}consent/")).status_code == 204
    assert await worker.database.run(Feedback.across_tenants.count) == 0


async def test_an_enrolment_that_was_open_brings_nobody_back_after_a_withdrawal(
    api: httpx.AsyncClient, strict: Backend, faces: Faces, worker: Worker, astronaut_embedding: Embedding
) -> None:
    await upload(api, faces.astronaut, TERMS)
    created = (await session(api)).json()
    await api.delete(f"{ALICE}consent/")
    url = f"/api/v1/sessions/{created['id']}/frames/"
    answer = await api.post(url, content=faces.astronaut, headers={"content-type": "image/jpeg"})
    assert error_of(answer)[0] == 409
    assert await worker.database.run(Template.across_tenants.count) == 0


async def test_who_is_not_there_withdraws_nothing(api: httpx.AsyncClient) -> None:
    assert error_of(await api.delete(f"{ALICE}consent/")) == (404, "subject_not_found")


CONSENT_WORDS = ("consent", "what", "what_text", "how_long", "how_long_text", "by_whom", "by_whom_text", "agree")
DIGEST_OF_VERSION = {"1": "1548b3857e961693"}


def test_the_version_of_the_pages_consent_changes_with_its_words() -> None:
    static = REPOSITORY / "face_recognition_app" / "demo" / "static" / "demo"
    version = re.search(r'body\.consent = \{ text: "page", version: "(\d+)" \}', (static / "doors.js").read_text())
    assert version is not None
    catalogues = [(static / "words" / f"{language}.js").read_text() for language in ("en", "id", "tr")]
    words = [re.search(rf"^  {key}: (.*),$", text, re.MULTILINE) for text in catalogues for key in CONSENT_WORDS]
    digest = hashlib.sha256("\n".join(found[1] for found in words if found).encode()).hexdigest()[:16]
    assert all(words)
    assert DIGEST_OF_VERSION.get(version[1]) == digest
