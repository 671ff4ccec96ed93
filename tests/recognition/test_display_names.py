"""A person's name: taken with an enrolment, told with a success, and gone with the person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from core.types import Embedding
from gallery.models import Subject
from gallery.people import create_subject
from recognition.models import Decision, Session
from recognition.retention.erasure import erase_subject
from recognition.sessions import lifecycle
from recognition.sessions.lease import Lease
from recognition.sessions.lifecycle import SessionRequest
from recognition.sessions.state import CANCELLATION, KeptSample, Outcome
from recognition.sessions.terms import LivenessRequest
from recognition.worker import Worker
from tests.recognition.api.test_api import SESSIONS, error_of
from tests.recognition.failing import succeed
from tests.recognition.support import Backend
from vocabulary.sessions import SessionKind, SessionStatus

SUBJECTS = "/api/v1/subjects/"
NAME = "Zo\u00eb 王 🙂"


def enrolling(worker: Worker, backend: Backend, name: str = NAME) -> Lease:
    """A connected enrolment of alice under a name."""
    request = SessionRequest(SessionKind.ENROLLMENT, "alice", LivenessRequest(), 3, "", {}, name)
    session = lifecycle.create(worker.deciding, backend.tenant, request, None).session
    return lifecycle.connect(worker.deciding, session)


def enrol(worker: Worker, backend: Backend, embedding: Embedding, name: str = NAME) -> Decision:
    lease = enrolling(worker, backend, name)
    lease.flow.samples = [KeptSample(embedding.tobytes(), 0.9)] * 3
    return lifecycle.decide(worker.deciding, lease, Outcome(True, None, "alice", None))


@pytest.mark.usefixtures("each_database")
def test_an_enrolment_gives_the_subject_its_name(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    assert enrol(worker, backend, astronaut_embedding).display_name == NAME
    assert Subject.across_tenants.get().display_name == NAME
    assert succeed(worker, backend, astronaut_embedding).display_name == NAME
    assert enrol(worker, backend, astronaut_embedding, "").display_name == NAME, "a name stays until another is given"
    assert enrol(worker, backend, astronaut_embedding, "Alice").display_name == "Alice"


def test_an_enrolment_that_fails_names_nobody(worker: Worker, alice: Backend, hopper_embedding: Embedding) -> None:
    decision = enrol(worker, alice, hopper_embedding)
    assert (decision.success, decision.display_name) == (False, "")
    assert Subject.across_tenants.get().display_name == ""


def _decided(worker: Worker, backend: Backend) -> None:
    lifecycle.decide(worker.deciding, enrolling(worker, backend), CANCELLATION)


def _never_connected(worker: Worker, backend: Backend) -> None:
    session = enrolling(worker, backend).session
    past = timezone.now() - timedelta(seconds=1)
    Session.across_tenants.update(status=SessionStatus.CREATED, expires_at=past)
    lifecycle.expire_if_due(worker.deciding, lifecycle.find(backend.tenant, session.pk))


def _erased(worker: Worker, backend: Backend) -> None:
    enrolling(worker, backend)
    create_subject(backend.tenant, "alice", {}, NAME)
    erase_subject(worker.deciding, backend.tenant, "alice")


@pytest.mark.parametrize("end", [_decided, _never_connected, _erased])
def test_a_session_that_is_over_keeps_no_name(worker: Worker, backend: Backend, end: Any) -> None:
    end(worker, backend)
    assert list(Session.across_tenants.values_list("display_name", flat=True)) == [""]
    assert not Subject.across_tenants.exists()


async def test_the_result_over_rest_has_the_name_as_it_is_now(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    session = (await worker.database.run(enrol, worker, backend, astronaut_embedding)).session
    url = f"{SESSIONS}{session.pk}/"
    assert (await api.get(url)).json()["decision"]["display_name"] == NAME
    await api.patch(f"{SUBJECTS}alice/", json={"display_name": "Alice"})
    assert (await api.get(url)).json()["decision"]["display_name"] == "Alice"
    await api.patch(f"{SUBJECTS}alice/", json={"display_name": ""})
    assert (await api.get(url)).json()["decision"]["display_name"] is None


async def test_an_idempotency_key_is_good_for_one_name(api: httpx.AsyncClient) -> None:
    body, key = {"kind": "enrollment", "subject_id": "alice"}, {"Idempotency-Key": "order-1"}
    first = await api.post(SESSIONS, json={**body, "display_name": " Alice "}, headers=key)
    again = await api.post(SESSIONS, json={**body, "display_name": "Alice"}, headers=key)
    assert again.json() == first.json()
    for other in ({}, {"display_name": "Bob"}):
        assert error_of(await api.post(SESSIONS, json={**body, **other}, headers=key)) == (409, "idempotency_conflict")


def test_a_request_without_a_name_has_the_digest_of_older_versions() -> None:
    """Idempotency keys that were used before an update are good after it."""
    request = SessionRequest(SessionKind.ENROLLMENT, "alice", LivenessRequest(), 3, "", {})
    assert request.digest() == "b06a9e4fde996ba969af3f27708318322089b8844b3ee6dcf29d980c217c3a22"


@pytest.mark.parametrize("kind", ["authentication", "identification"])
async def test_only_an_enrolment_takes_a_name(api: httpx.AsyncClient, kind: str) -> None:
    body = {"kind": kind, "display_name": "Alice", **({"subject_id": "alice"} if kind == "authentication" else {})}
    assert error_of(await api.post(SESSIONS, json=body)) == (422, "validation_error")


@pytest.mark.parametrize("table", ["gallery_subject", "recognition_session"])
@pytest.mark.usefixtures("each_database")
def test_workers_of_an_older_version_add_rows_without_a_name(table: str) -> None:
    with connection.cursor() as cursor:
        [column] = [
            column
            for column in connection.introspection.get_table_description(cursor, table)
            if column.name == "display_name"
        ]
    assert column.default is not None
    assert not column.null_ok
