"""Erasing a person leaves no row, no open session, and no byte of a template in the database's files."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from django.apps import apps
from django.db import connection

from core.types import Embedding
from database import clock, write_ahead_log
from gallery.models import Subject, Template
from gallery.people import Sample, SubjectNotFound
from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob, submit
from recognition.models import Decision, FailedAttempts, KnownDevice, Session
from recognition.retention import erasure
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, Lease, SessionError
from recognition.sessions.state import KeptSample, Outcome
from recognition.worker import Worker
from tests.enrolling import enroll
from tests.recognition.failing import LIMIT, MATCH, begun, fail, matched, succeed, unable_to_sign
from tests.recognition.support import Backend, Faces, asked, connect, decision_of, in_database, side_by_side
from vocabulary.jobs import FINISHED, JobType
from vocabulary.sessions import SessionStatus

PERSON = "alice"


def erase(worker: Worker, backend: Backend) -> None:
    erasure.erase_subject(worker.deciding, backend.tenant, PERSON)


def rows_that_name(subject_id: str) -> list[str]:
    """Every row of every table that contains the id."""
    labels = ("tenants", "gallery", "recognition", "audit", "jobs")
    labels = ("tenants", "gallery", "recognition", "audit", "webhooks")
    models = [model for label in labels for model in apps.get_app_config(label).get_models()]
    rows = [(model.__name__, str(row)) for model in models for row in model._base_manager.values()]
    return [f"{name} {row}" for name, row in rows if subject_id in row]


def live_through_much(worker: Worker, backend: Backend, embedding: Embedding) -> None:
    """Create sessions of alice of every kind and end, and her devices, locks and metadata."""
    succeed(worker, backend, embedding, device_id="phone")
    succeed(worker, backend, embedding, kind="identification", device_id="kiosk")
    fail(worker, backend, LIMIT)
    fail(worker, backend, 2, device_id="phone")
    lifecycle.create(
        worker.deciding, backend.tenant, asked("authentication", PERSON, device_id="laptop", who=PERSON), "key"
    )
    begun(worker, backend, device_id="tablet")
    begun(worker, backend, "enrollment", device_id="phone-2")
    finding = begun(worker, backend, "identification")
    finding.flow.match, finding.flow.matched_probe = MATCH, embedding.tobytes()
    finding.save()
    for status in FINISHED:
        job = submit(backend.tenant, NewJob(JobType.NOOP))
        about = {"payload": {"subject_id": PERSON}, "subject_id": PERSON, "result": {"name": PERSON}}
        Job.across_tenants.filter(pk=job.pk).update(status=status, **about)
        DeadLetter.objects.create(job=job, reason=f"{PERSON} is not there", at=clock.now())


def test_everything_that_names_a_person_goes_with_the_person(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    live_through_much(worker, alice, astronaut_embedding)
    assert len({row.split()[0] for row in rows_that_name(PERSON)}) >= 4
    erase(worker, alice)
    assert rows_that_name(PERSON) == []
    assert not Template.across_tenants.exists()
    assert not KnownDevice.across_tenants.exists()


def test_what_is_not_the_persons_stays(
    worker: Worker, alice: Backend, rival: Backend, hopper_embedding: Embedding, astronaut_embedding: Embedding
) -> None:
    enroll(alice.tenant, "alice2", [Sample(hopper_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    enroll(rival.tenant, PERSON, [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    fail(worker, alice, LIMIT, subject_id="alice2")
    fail(worker, rival, LIMIT)
    for backend, named in ((alice, "alice2"), (rival, PERSON)):
        job = submit(backend.tenant, NewJob(JobType.NOOP))
        Job.across_tenants.filter(pk=job.pk).update(status="succeeded", subject_id=named)
    others = [begun(worker, alice, subject_id="alice2", device_id="x"), begun(worker, alice, "identification")]
    before = (Session.across_tenants.count(), Decision.across_tenants.count(), FailedAttempts.across_tenants.count())
    erase(worker, alice)
    assert (
        Session.across_tenants.count(),
        Decision.across_tenants.count(),
        FailedAttempts.across_tenants.count(),
    ) == before
    for other in others:
        other.check()
    assert Subject.across_tenants.filter(subject_id__in=["alice2", PERSON]).count() == 2
    assert Job.across_tenants.count() == 2


def test_open_sessions_of_the_person_end_and_say_why(worker: Worker, alice: Backend) -> None:
    open_sessions = [begun(worker, alice).session, begun(worker, alice, "enrollment").session]
    open_sessions.append(lifecycle.create(worker.deciding, alice.tenant, asked("authentication", PERSON), None).session)
    erase(worker, alice)
    for session in open_sessions:
        decision = decision_of(session)
        assert (decision.success, decision.reason, decision.session.status) == (False, "subject_gone", "failed")
        assert decision.session.checkpoint == ""


def test_an_enrolment_that_was_open_does_not_bring_the_person_back(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    connection_ = begun(worker, alice, "enrollment")
    connection_.flow.samples = [KeptSample(astronaut_embedding.tobytes(), 0.9)] * 3
    erase(worker, alice)
    with pytest.raises(AlreadyDecided):
        lifecycle.decide(worker.deciding, connection_, Outcome(True, None, PERSON, None))
    assert not Subject.across_tenants.exists()


def test_a_session_that_cannot_be_read_is_ended_too(worker: Worker, alice: Backend) -> None:
    session = begun(worker, alice).session
    Session.across_tenants.filter(pk=session.pk).update(checkpoint='{"another": "version"}')
    erase(worker, alice)
    session.refresh_from_db()
    assert (session.status, session.checkpoint, session.subject_id) == (SessionStatus.EXPIRED, "", "")


def test_who_is_not_there_cannot_be_erased_and_keeps_what_failed(worker: Worker, backend: Backend) -> None:
    fail(worker, backend, kind="enrollment")
    with pytest.raises(SubjectNotFound):
        erase(worker, backend)
    assert Decision.across_tenants.exists()


def test_erasing_breaks_off_as_a_whole(worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_ = begun(worker, alice)
    with unable_to_sign(worker.deciding.signer, monkeypatch), pytest.raises(RuntimeError, match="no signature"):
        erase(worker, alice)
    assert Template.across_tenants.exists()
    connection_.check()
    erase(worker, alice)
    assert rows_that_name(PERSON) == []


@pytest.mark.usefixtures("each_database")
def test_deciding_and_beginning_and_erasing_side_by_side_leave_nothing(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    """In any order nothing hangs, nothing fails, and nothing of the person remains."""
    connections = [begun(worker, alice, device_id=f"device-{number}") for number in range(8)]
    enrolment = begun(worker, alice, "enrollment")
    enrolment.flow.samples = [KeptSample(astronaut_embedding.tobytes(), 0.9)] * 3

    def begin() -> str:
        try:
            return lifecycle.create(worker.deciding, alice.tenant, asked("authentication", PERSON), None).session.status
        except SubjectNotFound:
            return "created"

    def decide(each: Lease, outcome: Outcome) -> str:
        with contextlib.suppress(SessionError):
            lifecycle.decide(worker.deciding, each, outcome)
        return "decided"

    calls: list[Callable[[], object]] = [
        lambda each=each: decide(each, matched(each, astronaut_embedding))  # type: ignore[misc]
        for each in connections
    ]
    calls += [lambda: decide(enrolment, Outcome(True, None, PERSON, None)), begin, begin]
    calls.insert(3, lambda: erase(worker, alice))
    results = side_by_side(calls)
    assert not [result for result in results if isinstance(result, Exception)]
    assert rows_that_name(PERSON) == []


async def test_a_connected_client_is_told(api: httpx.AsyncClient, worker: Worker, alice: Backend, faces: Faces) -> None:
    body = {"kind": "authentication", "subject_id": PERSON, "liveness": "passive"}
    made = (await api.post("/api/v1/sessions/", json=body)).json()
    async with connect(made["token"]) as socket:
        await socket.greeted()
        assert (await api.delete(f"/api/v1/subjects/{PERSON}/")).status_code == 204
        done = await socket.ask(faces.astronaut)
        assert (done["type"], done["success"], done["reason"]) == ("authentication_complete", False, "subject_gone")
        assert done["subject_id"] is None
    detail = (await api.get(f"/api/v1/sessions/{made['id']}/")).json()
    assert (detail["status"], detail["subject_id"], detail["metadata"]) == ("failed", None, {})


def database_files() -> bytes:
    name = Path(connection.settings_dict["NAME"])
    return b"".join(path.read_bytes() for path in name.parent.glob(name.name + "*"))


needs_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite's files are ours to look into")


@needs_sqlite
@pytest.mark.parametrize("others", [0, 300], ids=["alone", "among others"])
def test_no_byte_of_a_face_stays_in_the_files(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, others: int
) -> None:
    rng = np.random.default_rng(1)
    strangers = rng.standard_normal((others, astronaut_embedding.size)).astype(np.float32)
    for number, face in enumerate(strangers):
        subject = Subject.objects.create(tenant=alice.tenant, subject_id=f"s{number}")
        Template.objects.create(tenant=alice.tenant, subject=subject, model_id="m", vector=face.tobytes(), quality=1.0)
    finding = begun(worker, alice)
    finding.flow.match, finding.flow.matched_probe = MATCH, astronaut_embedding.tobytes()
    finding.save()
    raw = astronaut_embedding.astype("<f4").tobytes()
    plain = [raw[:32], raw[1000:1032], base64.urlsafe_b64encode(raw)[:48], base64.urlsafe_b64encode(raw)[1200:1248]]
    assert [trace for trace in plain if trace in database_files()] == [], "nothing of it is stored as it is"
    template = bytes(Template.across_tenants.get(subject__subject_id=PERSON).vector)
    checkpoint = Session.across_tenants.get(pk=finding.session.pk).checkpoint.encode()
    pieces = [checkpoint[begin : begin + 32] for begin in range(100, 2_000, 300)]
    traces = [template[20:52], template[1000:1032], *(piece for piece in pieces if piece in database_files())]
    assert len(traces) > 5, "a page may end in a piece or two"
    assert all(trace in database_files() for trace in traces), "the search finds what is there"
    erase(worker, alice)
    assert [trace for trace in traces if trace in database_files()] == []


@needs_sqlite
async def test_no_byte_of_a_template_stays_when_it_alone_is_deleted(
    api: httpx.AsyncClient, worker: Worker, alice: Backend
) -> None:
    trace = await in_database(worker, lambda: bytes(Template.across_tenants.get().vector)[20:84])
    assert trace in database_files()
    (template,) = (await api.get(f"/api/v1/subjects/{PERSON}/templates/")).json()["items"]
    assert (await api.delete(f"/api/v1/subjects/{PERSON}/templates/{template['id']}/")).status_code == 204
    assert trace not in database_files()


@needs_sqlite
def test_a_log_that_is_in_use_is_emptied_later(worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "CHECKPOINT_TIMEOUT_MS", 10)
    reader = connection.copy()
    try:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT COUNT(*) FROM gallery_template").fetchall()
            erase(worker, alice)
            assert not write_ahead_log.empty()
            cursor.execute("COMMIT")
    finally:
        reader.close()
    assert write_ahead_log.empty()
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone()[0] > 1_000, "others are waited for as before"
