"""Pictures of enrolled faces are kept where the tenant asks for them, and nowhere else."""

from __future__ import annotations

import base64

import httpx
import pytest

from audit.models import AuditEntry
from core.imaging.crop_file import from_png
from core.types import Embedding
from gallery import pictures
from gallery.models import Picture, Subject, Template, TemplateKey
from gallery.people import Sample
from gallery.protection import Protected
from recognition.models import Session
from recognition.retention.erasure import erase_for_withdrawal, erase_subject, erase_template
from recognition.retention.rules import enforce
from recognition.sessions import checkpoints
from recognition.sessions.state import Flow
from recognition.worker import Worker
from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.recognised import recognised
from tests.enrolling import enroll
from tests.recognition.conftest import Configure
from tests.recognition.failing import Clock
from tests.recognition.support import (
    Backend,
    Faces,
    asked,
    connect,
    http_client,
    in_database,
    token,
    until_complete,
)

DAY_S = 86_400.0
TEMPLATES = "/api/v1/subjects/alice/templates/"
EXPORT = "/api/v1/subjects/alice/export/"


def keep_for(tenant: Tenant, days: int) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=days)


@pytest.fixture
async def keeping(worker: Worker, backend: Backend) -> Backend:
    """The backend, whose tenant keeps pictures for 30 days."""
    await in_database(worker, keep_for, backend.tenant, 30)
    await in_database(worker, backend.tenant.refresh_from_db)
    return backend


async def enrol(api: httpx.AsyncClient, *images: bytes) -> None:
    answer = await api.post(TEMPLATES, files=[("images", ("a.jpg", image, "image/jpeg")) for image in images])
    assert answer.status_code == 201, answer.text


def kept(worker: Worker) -> list[tuple[Template, Embedding]]:
    """Each template that has a picture, and what the service's embedder makes of the picture now."""
    protection = worker.deciding.gallery.protection
    rows = Picture.across_tenants.select_related("template", "tenant").order_by("pk")
    crops = [(row, from_png(pictures.content_of(row, row.tenant, protection))) for row in rows]
    return [(row.template, recognised(worker.engine._embedder.embed(crop))) for row, crop in crops]


def assert_pictures_make_their_templates(worker: Worker, number: int) -> None:
    found = kept(worker)
    assert len(found) == number == Template.across_tenants.count()
    for template, again in found:
        stored = worker.deciding.gallery.protection.restore([Protected(bytes(template.vector))], template.tenant)
        assert float(stored[0] @ again) == pytest.approx(1, abs=1e-4)


def checkpoint(worker: Worker) -> Flow:
    session = Session.across_tenants.select_related("tenant").get()
    return checkpoints.read(session, worker.deciding.gallery.protection)


async def test_pictures_of_an_enrolment_are_kept_where_the_tenant_asks(
    worker: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces, astronaut_embedding: Embedding
) -> None:
    await enrol(api, faces.astronaut, faces.astronaut_again)
    await in_database(worker, assert_pictures_make_their_templates, worker, 2)
    first, _ = await in_database(worker, kept, worker)
    whole = worker.engine.embed(worker.engine.analyse_still(faces.astronaut, worker.limits))
    assert (first[1] == whole).all(), "a crop that was kept makes exactly the embedding that was made of it"


async def test_pictures_of_a_session_wait_in_its_checkpoint_and_are_kept(
    worker: Worker, keeping: Backend, faces: Faces
) -> None:
    secret = await token(worker, keeping, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut)
    (sample,) = (await in_database(worker, checkpoint, worker)).samples
    assert (worker.engine._embedder.embed(from_png(sample.picture)) == sample.embedding).all()
    async with connect(secret) as socket:
        await socket.greeted()
        assert (await until_complete(socket, faces.astronaut_again))[1]["success"]
    await in_database(worker, assert_pictures_make_their_templates, worker, 2)
    assert (await in_database(worker, Session.across_tenants.get)).checkpoint == ""


async def test_without_the_policy_no_picture_is_anywhere(
    worker: Worker, backend: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, faces.astronaut)
    secret = await token(worker, backend, asked("enrollment", "alice", target_samples=2))
    async with connect(secret) as socket:
        await socket.greeted()
        await socket.ask(faces.astronaut)
        samples = (await in_database(worker, checkpoint, worker)).samples
        assert [sample.picture for sample in samples] == [b""]
        await until_complete(socket, faces.astronaut_again)
    assert await in_database(worker, Template.across_tenants.count) == 3
    assert not await in_database(worker, Picture.across_tenants.exists)


async def test_a_policy_that_ended_meanwhile_keeps_nothing_of_a_session(
    worker: Worker, keeping: Backend, faces: Faces
) -> None:
    secret = await token(worker, keeping, asked("enrollment", "alice", target_samples=1))
    await in_database(worker, keep_for, keeping.tenant, 0)
    async with connect(secret) as socket:
        await socket.greeted()
        assert (await until_complete(socket, faces.astronaut))[1]["success"]
    assert await in_database(worker, Template.across_tenants.count) == 1
    assert not await in_database(worker, Picture.across_tenants.exists)


async def test_the_page_keeps_no_pictures(
    worker: Worker, transactional_db: None, configure: Configure, faces: Faces
) -> None:
    """Its words say so, whatever the policy of its tenant."""

    def make() -> None:
        keep_for(create_tenant("demo")[0], 30)

    changed = configure(demo=True)
    await in_database(worker, make)
    body = {"kind": "enrollment", "name": "Ada", "liveness": "none", "target_samples": 1}
    async with http_client(None) as visitor:
        created = (await visitor.post("/demo/sessions/", json=body)).json()
    async with connect(created["token"]) as socket:
        await socket.greeted()
        assert (await until_complete(socket, faces.astronaut))[1]["success"]
    assert await in_database(changed, Template.across_tenants.count) == 1
    assert not await in_database(changed, Picture.across_tenants.exists)


async def test_an_export_has_the_pictures_until_their_secret_is_gone(
    worker: Worker, keeping: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    await enrol(api, faces.astronaut)
    (template,) = (await api.get(EXPORT)).json()["templates"]
    png = base64.b64decode(template["picture"]["png"])
    assert from_png(png).shape == (112, 112, 3)
    trail = await in_database(worker, lambda: [str(row.details) for row in AuditEntry.across_tenants.all()])
    assert template["picture"]["png"][:40] not in " ".join(trail)
    await in_database(worker, TemplateKey.across_tenants.all().delete)
    (template,) = (await api.get(EXPORT)).json()["templates"]
    assert template["picture"]["png"] is None


def with_a_picture(worker: Worker, backend: Backend, embedding: Embedding) -> Template:
    sample = Sample(embedding, 1.0, b"a crop")
    return enroll(backend.tenant, "alice", [sample], worker.deciding.gallery, worker.deciding.rules)[0]


@pytest.mark.parametrize("how", ["template", "consent", "subject"])
def test_a_picture_goes_with_its_template(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding, how: str
) -> None:
    keep_for(backend.tenant, 30)
    template = with_a_picture(worker, backend, astronaut_embedding)
    assert Picture.objects.get(tenant=backend.tenant).template == template
    match how:
        case "template":
            erase_template(backend.tenant, "alice", template.public_id)
        case "consent":
            erase_for_withdrawal(worker.deciding, backend.tenant, "alice")
        case _:
            erase_subject(worker.deciding, backend.tenant, "alice")
    assert not Picture.across_tenants.exists()


def test_pictures_go_after_their_time_and_when_the_policy_ends(
    worker: Worker, backend: Backend, rival: Backend, clock: Clock, astronaut_embedding: Embedding
) -> None:
    for one, days in ((backend, 30), (rival, 60)):
        keep_for(one.tenant, days)
        with_a_picture(worker, one, astronaut_embedding)
    clock.advance(30 * DAY_S - 1)
    enforce(worker.settings, clock.now)
    assert Picture.across_tenants.count() == 2
    clock.advance(1)
    enforce(worker.settings, clock.now)
    assert Picture.across_tenants.get().tenant == rival.tenant
    keep_for(rival.tenant, 0)
    enforce(worker.settings, clock.now)
    assert not Picture.across_tenants.exists()
    assert (Template.across_tenants.count(), Subject.across_tenants.count()) == (2, 2)
    recorded = AuditEntry.across_tenants.filter(kind="retention").values_list("tenant__name", "details")
    told = [(name, details["rows"]) for name, details in recorded if details["what"] == "pictures"]
    assert sorted(told) == [("acme", 1), ("rival", 1)]
