"""Each change that tenants are told of, made for real, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import database.clock
from core.types import Embedding
from gallery import people
from gallery.enrolling.many import Enrolment, enroll_many
from gallery.people import Sample, create_subject, update_subject
from gallery.records.references import reference_of
from jobs.models import Job
from jobs.submitting import NewJob, submit
from jobs.workers import execution
from recognition.models import FailedAttempts, Session
from recognition.retention import erasure, unseen
from recognition.sessions import lifecycle, lockout
from recognition.sessions.state import KeptSample, Outcome
from recognition.worker import Worker
from tenants.models import Tenant
from testkit.service import REPOSITORY
from tests.docs.statements import rows_of
from tests.gallery.reembedding import moving
from tests.recognition.failing import LIMIT, begun, fail, succeed, unable_to_sign
from tests.recognition.support import Backend, asked
from vocabulary.jobs import JobType
from vocabulary.sessions import Reason
from vocabulary.webhooks import EventType
from webhooks import deliveries, endpoints
from webhooks.endpoints import NewEndpoint
from webhooks.models import Delivery

PERSON = "alice"
TABLE = rows_of((REPOSITORY / "docs" / "webhooks.md").read_text())


@dataclass(frozen=True)
class Scene:
    worker: Worker
    alice: Backend
    face: Embedding
    data_dir: Any

    @property
    def tenant(self) -> Tenant:
        return self.alice.tenant


def listen(tenant: Tenant) -> None:
    endpoints.create(tenant, NewEndpoint("https://receiver.example/"))


def noted(tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of each event since the tenant listens."""
    bodies = Delivery.objects.filter(tenant=tenant).order_by("pk").values_list("body", flat=True)
    return [(told["type"], told["data"]) for told in map(json.loads, bodies)]


@pytest.fixture
def scene(worker: Worker, alice: Backend, astronaut_embedding: Embedding, tmp_path: Any) -> Scene:
    listen(alice.tenant)
    return Scene(worker, alice, astronaut_embedding, tmp_path)


def enrolled_in_a_session(scene: Scene) -> None:
    people.delete_subject(scene.tenant, PERSON)
    connection = begun(scene.worker, scene.alice, "enrollment")
    connection.flow.samples = [KeptSample(scene.face.tobytes(), 0.9)] * 3
    lifecycle.decide(scene.worker.deciding, connection, Outcome(True, None, PERSON, None))


def enrolled_by_a_picture(scene: Scene) -> None:
    deciding = scene.worker.deciding
    enroll_many(scene.tenant, [Enrolment(PERSON, [Sample(scene.face, 1.0)])], deciding.gallery, deciding.rules)


def nobody_came(scene: Scene) -> None:
    lifecycle.create(scene.worker.deciding, scene.tenant, asked("authentication", PERSON), None)
    Session.across_tenants.update(expires_at=database.clock.now() - timedelta(seconds=1))
    assert lifecycle.expire_overdue(scene.worker.deciding) == 1


def cancelled(scene: Scene) -> None:
    lifecycle.cancel(scene.worker.deciding, begun(scene.worker, scene.alice).session)


def unlocked(scene: Scene) -> None:
    fail(scene.worker, scene.alice, LIMIT, device_id="")
    Delivery.objects.filter(tenant=scene.tenant).delete()
    assert lockout.lift_subject(scene.tenant, PERSON)


def one_template_less(scene: Scene) -> None:
    template = people.list_templates(scene.tenant, PERSON, 0, 1).rows[0]
    erasure.erase_template(scene.tenant, PERSON, template.public_id)


def moved(scene: Scene) -> None:
    people.delete_subject(scene.tenant, PERSON)
    Tenant.objects.filter(pk=scene.tenant.pk).update(picture_days=1, gallery_model=None)
    tenant = Tenant.objects.get(pk=scene.tenant.pk)
    service = moving.Service(scene.data_dir)
    new, service.new = service.new, service.former  # The first enrolment binds the gallery to the only embedder.
    service.enrol(tenant, 1)
    service.new = new
    assert service.move(tenant).templates == 1


def a_job_ended(scene: Scene) -> None:
    execution.execute(submit(scene.tenant, NewJob(JobType.NOOP)).pk)


HAPPENING: dict[EventType, Callable[[Scene], object]] = {
    EventType.SESSION_SUCCEEDED: lambda scene: succeed(scene.worker, scene.alice, scene.face),
    EventType.SESSION_FAILED: lambda scene: fail(scene.worker, scene.alice),
    EventType.SESSION_CANCELLED: cancelled,
    EventType.SESSION_EXPIRED: nobody_came,
    EventType.SUBJECT_CREATED: lambda scene: create_subject(scene.tenant, "bob", {"secret": "metadata"}, "Bob"),
    EventType.SUBJECT_ENROLLED: enrolled_by_a_picture,
    EventType.SUBJECT_UPDATED: lambda scene: update_subject(scene.tenant, PERSON, {"a": "metadata"}, None),
    EventType.SUBJECT_DELETED: lambda scene: erasure.erase_subject(scene.worker.deciding, scene.tenant, PERSON),
    EventType.CONSENT_WITHDRAWN: lambda scene: erasure.erase_for_withdrawal(
        scene.worker.deciding, scene.tenant, PERSON
    ),
    EventType.TEMPLATE_DELETED: one_template_less,
    EventType.LOCK_RAISED: lambda scene: fail(scene.worker, scene.alice, LIMIT),
    EventType.LOCK_REMOVED: unlocked,
    EventType.GALLERY_MOVED: moved,
    EventType.JOB_FINISHED: a_job_ended,
    EventType.WEBHOOK_TEST: lambda scene: deliveries.send_test(
        scene.tenant, endpoints.endpoints_of(scene.tenant).get().public_id
    ),
}


def test_every_event_happens_here_and_is_in_the_document() -> None:
    assert set(HAPPENING) == set(EventType)
    assert [name for name in TABLE if "." in name] == [event.value for event in EventType]


@pytest.mark.parametrize("event", HAPPENING)
def test_a_change_is_told_with_what_the_document_says(scene: Scene, event: EventType) -> None:
    HAPPENING[event](scene)
    found = [data for type_, data in noted(scene.tenant) if type_ == event]
    assert len(found) == 1
    fields = TABLE[event.value]["data"].replace("`", "")
    assert ", ".join(found[0]) == fields.partition(":")[0]


@pytest.mark.parametrize("event", HAPPENING)
def test_what_is_told_has_no_secret_and_nothing_of_a_face(scene: Scene, event: EventType) -> None:
    HAPPENING[event](scene)
    text = "".join(Delivery.objects.filter(tenant=scene.tenant).values_list("body", flat=True))
    reference = reference_of(scene.tenant, PERSON)
    hidden = ["metadata", "Bob", scene.alice.key, "similarity", "token", "vector", "evidence", "eyJ"]
    hidden += [] if reference is None else [reference.hex, str(reference)]
    hidden += list(Session.across_tenants.values_list("token_hash", flat=True))
    assert [word for word in hidden if word in text and word not in ("metadata",)] == []
    assert '"a": "metadata"' not in text.replace(":", ": ")


def test_an_enrolment_in_a_session_is_told_before_its_session(scene: Scene) -> None:
    enrolled_in_a_session(scene)
    assert [type_ for type_, _ in noted(scene.tenant)] == ["subject.enrolled", "session.succeeded"]
    assert noted(scene.tenant)[0][1] == {"subject_id": PERSON, "templates": 3, "renewal": "none", "replaced": 0}


def test_what_is_told_of_sessions(scene: Scene) -> None:
    done = succeed(scene.worker, scene.alice, scene.face)
    failed = fail(scene.worker, scene.alice, reason=Reason.SPOOF_SUSPECTED)
    nobody = fail(scene.worker, scene.alice, kind="identification")
    common = {"subject_id": PERSON, "kind": "authentication"}
    assert noted(scene.tenant) == [
        ("session.succeeded", {"session_id": str(done.session_id), **common, "success": True, "reason": None}),
        (
            "session.failed",
            {"session_id": str(failed.session_id), **common, "success": False, "reason": "spoof_suspected"},
        ),
        (
            "session.failed",
            {
                "session_id": str(nobody.session_id),
                "kind": "identification",
                "subject_id": None,
                "success": False,
                "reason": "no_match",
            },
        ),
    ]


def test_a_lock_is_told_before_the_session_that_it_ends(scene: Scene) -> None:
    fail(scene.worker, scene.alice, LIMIT)
    *_, raised, ended = noted(scene.tenant)
    assert raised == ("lock.raised", {"subject_id": PERSON, "places": ["unnamed"]})
    assert ended[0] == "session.failed"


def test_a_decision_that_does_not_happen_is_not_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = begun(scene.worker, scene.alice)
    with unable_to_sign(scene.worker.deciding.signer, monkeypatch), pytest.raises(RuntimeError, match="no signature"):
        lifecycle.decide(scene.worker.deciding, connection, Outcome(False, Reason.NO_MATCH, None, None))
    assert noted(scene.tenant) == []


def test_a_session_that_was_expired_by_another_worker_is_told_once(scene: Scene) -> None:
    lifecycle.create(scene.worker.deciding, scene.tenant, asked("authentication", PERSON), None)
    Session.across_tenants.update(expires_at=database.clock.now() - timedelta(seconds=1))
    seen_by_both = Session.across_tenants.select_related("tenant").get()
    for _ in range(2):
        lifecycle.expire_if_due(scene.worker.deciding, seen_by_both)
    assert [type_ for type_, _ in noted(scene.tenant)] == ["session.expired"]


def test_who_is_erased_unseen_is_told(scene: Scene) -> None:
    Tenant.objects.filter(pk=scene.tenant.pk).update(unseen_days=1)
    assert unseen.erase_unseen(scene.worker.deciding, database.clock.now() + timedelta(days=2)) == 1
    assert noted(scene.tenant) == [("subject.deleted", {"subject_id": PERSON, "why": "unseen"})]


def test_telling_makes_no_event_of_its_own(scene: Scene) -> None:
    a_job_ended(scene)
    a_job_ended(scene)
    for job in Job.across_tenants.filter(type=JobType.DELIVER_WEBHOOK):
        execution.execute(job.pk)
    assert [type_ for type_, _ in noted(scene.tenant)] == ["job.finished"] * 2


def test_locks_that_are_lifted_by_place_name_nobody(scene: Scene) -> None:
    fail(scene.worker, scene.alice, LIMIT, device_id="kiosk")
    Delivery.objects.filter(tenant=scene.tenant).delete()
    assert FailedAttempts.across_tenants.exists()
    lockout.lift_device(scene.tenant, "kiosk")
    assert noted(scene.tenant) == [("lock.removed", {"subject_id": None, "places": ["device"]})]
