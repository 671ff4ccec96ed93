"""Keys or an embedder that do not fit are told at the start, by readiness and to clients."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from config import embedders
from config.settings import Settings
from core.face_recognition_engine import FaceRecognitionEngine
from gallery.matching import make_gallery
from gallery.models import Feedback, Subject, Template, TemplateKey
from recognition.deciding import Deciding
from recognition.preparation import prepare
from recognition.retention import tenant_end
from recognition.worker import Worker
from tenants.models import Tenant
from tests.gallery.faces import enrol, face
from tests.processes import run
from tests.recognition.support import Backend, Faces, in_database, service


def other_key(settings: Settings) -> Settings:
    """The same service with another secret key, from which its master key is derived."""
    return settings.model_copy(update={"secret_key": secrets.token_urlsafe(48)})


@pytest.fixture
def without_the_key(worker: Worker, alice: Backend) -> Worker:
    """A worker that has lost the master key, over a gallery with alice."""
    gallery = make_gallery(other_key(worker.settings), worker.deciding.gallery.model_id)
    changed = replace(worker, deciding=replace(worker.deciding, gallery=gallery))
    service.worker = changed
    return changed


def picture(data: bytes) -> dict[str, Any]:
    return {"image": ("face.jpg", data, "image/jpeg")}


@pytest.mark.usefixtures("without_the_key")
async def test_clients_are_told_unavailable_and_readiness_names_the_templates(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    for path, more in (("verify", {"subject_id": "alice"}), ("search", {})):
        answer = await api.post(f"/api/v1/faces/{path}/", files=picture(faces.astronaut), data=more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert answer.json()["error"]["message"] == "the templates cannot be read now"
    answer = await api.post("/api/v1/subjects/bob/templates/", files={"images": picture(faces.hopper)["image"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    ready = await api.get("/api/ready/")
    assert (ready.status_code, ready.json()["components"]["templates"]) == (503, "unavailable")


async def test_with_the_key_the_templates_are_not_mentioned(api: httpx.AsyncClient, alice: Backend) -> None:
    assert "templates" not in (await api.get("/api/ready/")).json()["components"]


async def test_another_embedder_is_told_with_words(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, faces: Faces
) -> None:
    real, gallery = worker.engine, make_gallery(worker.settings, "0123456789abcdef")
    by_model = {gallery.model_id: real._embedder}
    engine = FaceRecognitionEngine(real.detector, real._embedder, real._spoof, real.backend, by_model=by_model)
    service.worker = replace(worker, deciding=replace(worker.deciding, gallery=gallery), engine=engine)
    answer = await api.post("/api/v1/faces/search/", files=picture(faces.astronaut))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "unavailable")
    assert "the gallery of acme was made with the embedder" in error["message"]
    assert (await api.get("/api/ready/")).json()["components"]["templates"] == "unavailable"


async def say_that_bob_is_not(api: httpx.AsyncClient, picture: bytes) -> None:
    """Keep a picture of alice with bob: somebody said that it does not show him."""
    await api.post("/api/v1/subjects/", json={"subject_id": "bob"})
    answer = await api.post("/api/v1/subjects/bob/feedback/", files={"image": picture}, data={"correct": "false"})
    assert answer.status_code == 201, answer.text


async def recorded(worker: Worker, kind: str) -> dict[str, Any]:
    entry = await in_database(worker, lambda: AuditEntry.across_tenants.get(kind=kind))
    details: dict[str, Any] = entry.details
    return details


@pytest.mark.parametrize("fault", ["master key missing", "secret deleted", "template changed"])
async def test_a_person_is_erased_also_where_nobody_can_read_the_templates(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, faces: Faces, fault: str
) -> None:
    def spoil() -> None:
        if fault == "secret deleted":
            TemplateKey.objects.filter(tenant=alice.tenant).delete()
        elif fault == "template changed":
            Template.objects.filter(tenant=alice.tenant).update(vector=bytes(100))

    await say_that_bob_is_not(api, faces.astronaut)
    await in_database(worker, spoil)
    if fault == "master key missing":
        gallery = make_gallery(other_key(worker.settings), worker.deciding.gallery.model_id)
        service.worker = replace(worker, deciding=replace(worker.deciding, gallery=gallery))
    assert (await api.delete("/api/v1/subjects/alice/consent/")).status_code == 204
    await in_database(worker, store_template, alice, worker.deciding.gallery.model_id)
    answer = await api.delete("/api/v1/subjects/alice/")
    assert answer.status_code == 204
    assert not await in_database(worker, Template.across_tenants.exists)
    assert (await recorded(worker, "consent_withdrawn"))["unread_feedback"] == 1
    assert (await recorded(worker, "subject_erased"))["unread_feedback"] == 1
    receipt = jwt.decode(answer.headers["x-erasure-receipt"], options={"verify_signature": False})
    assert receipt["unread_feedback"] == 1, "the receipt says what could not be done"


def store_template(alice: Backend, model_id: str) -> None:
    """Store a template that is of no use, so that there is one to be compared again."""
    subject = Subject.objects.get(tenant=alice.tenant, subject_id="alice")
    Template.objects.create(tenant=alice.tenant, subject=subject, model_id=model_id, vector=bytes(100))


async def test_one_rejected_picture_that_cannot_be_read_hinders_neither_the_others_nor_the_erasure(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, faces: Faces
) -> None:
    await say_that_bob_is_not(api, faces.astronaut)
    await say_that_bob_is_not(api, faces.astronaut_again)

    def spoil() -> None:
        last = Feedback.objects.filter(tenant=alice.tenant).latest("pk")
        Feedback.objects.filter(tenant=alice.tenant, pk=last.pk).update(vector=bytes(100))

    await in_database(worker, spoil)
    assert (await api.delete("/api/v1/subjects/alice/")).status_code == 204
    assert await in_database(worker, Feedback.across_tenants.count) == 1
    assert (await recorded(worker, "subject_erased"))["unread_feedback"] == 1


def test_a_start_is_refused_with_words(worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("prepare")
    load = Deciding.load
    monkeypatch.setattr(Deciding, "load", lambda settings: load(other_key(settings)))
    with pytest.raises(CommandError, match="the secret of tenant acme was wrapped by the master key"):
        call_command("prepare")
    monkeypatch.setattr(Deciding, "load", load)
    monkeypatch.setattr(embedders, "MODEL_ID_DIGITS", 15)
    with pytest.raises(CommandError, match="the gallery of acme was made with the embedder"):
        call_command("prepare")


def test_a_key_is_in_no_answer_of_a_start_that_fails(tmp_path: Path) -> None:
    key = base64.b64encode(secrets.token_bytes(31)).decode()
    done = run("manage.py", "rotate_keys", FACE_DATA_DIR=str(tmp_path), FACE_TEMPLATE_KEY=key)
    assert done.returncode == 1
    assert "key 1 of FACE_TEMPLATE_KEY has 31 bytes and not 32" in done.stderr
    assert key[:20] not in done.stdout + done.stderr


async def test_deleting_a_tenant_deletes_its_secrets(worker: Worker, alice: Backend) -> None:
    def delete() -> tuple[bool, bool, bool]:
        enrol(alice.tenant, "bob", face(5), gallery=worker.deciding.gallery)
        tenant_end.delete_tenant(alice.tenant)
        return TemplateKey.across_tenants.exists(), Template.across_tenants.exists(), Tenant.objects.exists()

    assert await in_database(worker, delete) == (False, False, False)


def test_in_production_a_missing_master_key_is_pointed_out(worker: Worker, backend: Backend) -> None:
    strong = {"app_env": "production", "secret_key": secrets.token_urlsafe(48), "demo": False}
    for given, told in (({}, True), ({"template_key": base64.b64encode(secrets.token_bytes(32)).decode()}, False)):
        lines: list[str] = []
        prepare(worker.settings.model_copy(update={**strong, **given}), lines.append)
        assert any("derived from FACE_SECRET_KEY; docs/keys.md" in line for line in lines) == told
