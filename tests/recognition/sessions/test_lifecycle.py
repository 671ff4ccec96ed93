"""A session's life in the database: the current lease alone may write, and it is decided once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.liveness.decision import Liveness, Verdict
from core.liveness.policy import Policy
from core.types import Embedding
from gallery.models import Subject, Template
from gallery.people import InvalidSubjectId, Sample, SubjectNotFound, delete_subject
from recognition.deciding import Deciding
from recognition.models import Decision, Session
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, Lease, SessionNotFound, Superseded
from recognition.sessions.lifecycle import TokenInvalid
from recognition.sessions.state import KeptSample, Match, Outcome
from recognition.tokens.signing import DECISION_AUDIENCE, ISSUER
from recognition.worker import Worker
from tenants.keys import token_hash
from tenants.liveness_policy import policy_of, set_policy
from tests.enrolling import enroll
from tests.gallery.faces import picture
from tests.recognition.conftest import Configure
from tests.recognition.failing import succeed, unable_to_sign
from tests.recognition.support import Backend, asked, decision_of, side_by_side
from vocabulary.sessions import Reason, SessionStatus

CANCELLED = Outcome(False, Reason.CANCELLED, None, None)
FAILED = Outcome(False, Reason.NO_MATCH, None, None)


def begin(worker: Worker, backend: Backend, kind: str = "identification", subject_id: str = "") -> Session:
    return lifecycle.create(worker.deciding, backend.tenant, asked(kind, subject_id), None).session


def connected(worker: Worker, backend: Backend, kind: str = "identification", subject_id: str = "") -> Lease:
    return lifecycle.connect(worker.deciding, begin(worker, backend, kind, subject_id))


def sampled(connection: Lease, embedding: Embedding) -> Outcome:
    """Give an enrolment the samples that it needs; returns its success."""
    connection.flow.samples = [KeptSample(embedding.tobytes(), 0.9)] * 3
    return Outcome(True, None, connection.session.subject_id, None)


def let_time_pass(session: Session) -> Session:
    Session.across_tenants.filter(pk=session.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    session.refresh_from_db()
    return session


def state(session: Session) -> dict[str, Any]:
    return dict(Session.across_tenants.filter(pk=session.pk).values().get())


def test_only_the_hash_of_a_token_is_stored(worker: Worker, backend: Backend) -> None:
    session = begin(worker, backend)
    token = lifecycle.token_of(worker.deciding, session)
    lifecycle.decide(worker.deciding, lifecycle.connect_by_token(worker.deciding, token), FAILED)
    assert Session.across_tenants.get().token_hash == token_hash(token)
    assert token not in repr([*Session.across_tenants.values(), *Decision.across_tenants.values()])


def test_a_token_is_long_and_each_session_has_its_own(worker: Worker, backend: Backend) -> None:
    tokens = {lifecycle.token_of(worker.deciding, begin(worker, backend)) for _ in range(5)}
    assert len(tokens) == 5
    assert min(len(token) for token in tokens) >= 43


def test_the_same_idempotency_key_gives_the_same_session_and_token(worker: Worker, backend: Backend) -> None:
    first = lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "alice", order=7), "key-1").session
    second = lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "alice", order=7), "key-1").session
    assert second.pk == first.pk
    assert lifecycle.token_of(worker.deciding, second) == lifecycle.token_of(worker.deciding, first)
    assert Session.across_tenants.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        asked("enrollment", "bob"),
        asked("identification"),
        asked("enrollment", "alice", Policy.PASSIVE),
        asked("enrollment", "alice", target_samples=5),
        asked("enrollment", "alice", device_id="phone"),
        asked("enrollment", "alice", order=8),
    ],
    ids=["subject", "kind", "liveness", "samples", "device", "metadata"],
)
def test_an_idempotency_key_is_not_good_for_another_request(
    worker: Worker, backend: Backend, other: lifecycle.SessionRequest
) -> None:
    lifecycle.create(worker.deciding, backend.tenant, asked("enrollment", "alice"), "key-1")
    with pytest.raises(lifecycle.IdempotencyConflict):
        lifecycle.create(worker.deciding, backend.tenant, other, "key-1")
    assert Session.across_tenants.count() == 1


def test_two_tenants_may_use_the_same_idempotency_key(worker: Worker, backend: Backend, rival: Backend) -> None:
    mine = lifecycle.create(worker.deciding, backend.tenant, asked("identification"), "key-1").session
    theirs = lifecycle.create(worker.deciding, rival.tenant, asked("identification"), "key-1").session
    assert mine.pk != theirs.pk


def test_one_idempotency_key_sent_at_once_makes_one_session(worker: Worker, backend: Backend) -> None:
    made = side_by_side(
        [lambda: lifecycle.create(worker.deciding, backend.tenant, asked("identification"), "key-1").session] * 4
    )
    assert {session.pk if isinstance(session, Session) else session for session in made} == {
        Session.across_tenants.get().pk
    }


def test_an_authentication_needs_a_subject_that_is_there(worker: Worker, backend: Backend) -> None:
    with pytest.raises(SubjectNotFound):
        begin(worker, backend, "authentication", "nobody")


@pytest.mark.parametrize("subject_id", ["a b", "../etc", "a" * 129, "ä", "a\n"])
def test_a_subject_id_of_other_letters_is_refused(worker: Worker, backend: Backend, subject_id: str) -> None:
    with pytest.raises(InvalidSubjectId):
        begin(worker, backend, "enrollment", subject_id)


def test_the_time_limit_counts_from_the_first_connection(worker: Worker, backend: Backend) -> None:
    first = lifecycle.connect(worker.deciding, begin(worker, backend, "enrollment", "alice"))
    limit_s = worker.settings.enrollment_time_limit_s
    assert limit_s - 5 < first.seconds_left <= limit_s
    second = lifecycle.connect(worker.deciding, first.session)
    assert second.session.expires_at == first.session.expires_at
    assert (first.resumed, second.resumed) == (False, True)


def test_a_second_connection_supersedes_the_first(worker: Worker, backend: Backend) -> None:
    first = connected(worker, backend)
    second = lifecycle.connect(worker.deciding, first.session)
    second.check()
    with pytest.raises(Superseded):
        first.check()


def test_a_superseded_connection_changes_nothing(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    first = connected(worker, backend, "enrollment", "alice")
    lifecycle.connect(worker.deciding, first.session)
    before = state(first.session)
    with pytest.raises(Superseded):
        first.save()
    with pytest.raises(Superseded):
        lifecycle.decide(worker.deciding, first, sampled(first, astronaut_embedding))
    assert state(first.session) == before
    assert not Decision.across_tenants.exists()
    assert not Subject.across_tenants.exists()


def test_the_next_connection_goes_on_from_the_checkpoint(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    first = connected(worker, backend, "enrollment", "alice")
    sampled(first, astronaut_embedding)
    first.save()
    assert lifecycle.connect(worker.deciding, first.session).flow == first.flow


def test_a_decision_is_never_made_twice(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    decision = lifecycle.decide(worker.deciding, connection, FAILED)
    with pytest.raises(AlreadyDecided) as caught:
        lifecycle.decide(worker.deciding, connection, CANCELLED)
    assert caught.value.decision == decision
    with pytest.raises(AlreadyDecided):
        connection.save()
    assert decision_of(connection.session).reason == "no_match"


@pytest.mark.usefixtures("each_database")
def test_of_many_deciders_at_once_one_decides(worker: Worker, backend: Backend, astronaut_embedding: Embedding) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    success = sampled(connection, astronaut_embedding)
    results = side_by_side([lambda: lifecycle.decide(worker.deciding, connection, success)] * 6)
    decided = [result for result in results if isinstance(result, Decision)]
    told = [result.decision for result in results if isinstance(result, AlreadyDecided)]
    assert len(decided) == 1
    assert told == decided * 5
    assert Template.across_tenants.count() == 3


def test_a_success_and_a_cancellation_at_once_leave_one_decision(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    success = sampled(connection, astronaut_embedding)
    results = side_by_side(
        [
            lambda: lifecycle.decide(worker.deciding, connection, success).success,
            lambda: lifecycle.cancel(worker.deciding, connection.session).status == SessionStatus.SUCCEEDED,
        ]
    )
    succeeded = Session.across_tenants.get().status == SessionStatus.SUCCEEDED
    assert Template.across_tenants.exists() == succeeded
    assert decision_of(connection.session).success == succeeded
    assert results[1] == succeeded


def test_an_enrolment_that_is_decided_while_it_is_cancelled_stays_decided(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(worker, backend)
    expire_if_due = lifecycle.expire_if_due

    def decided_meanwhile(deciding: Deciding, session: Session) -> Session:
        found = expire_if_due(deciding, session)
        lifecycle.decide(deciding, connection, FAILED)
        return found

    monkeypatch.setattr(lifecycle, "expire_if_due", decided_meanwhile)
    assert lifecycle.cancel(worker.deciding, connection.session).status == SessionStatus.FAILED
    assert decision_of(connection.session).reason == "no_match"


def test_a_success_enrols_every_sample(worker: Worker, backend: Backend, astronaut_embedding: Embedding) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    decision = lifecycle.decide(worker.deciding, connection, sampled(connection, astronaut_embedding))
    assert decision.success
    assert Session.across_tenants.get().status == SessionStatus.SUCCEEDED
    assert Template.across_tenants.filter(subject__subject_id="alice").count() == 3
    found = worker.deciding.gallery.store.search(backend.tenant, [astronaut_embedding], 1).candidates
    assert found[0].subject_id == "alice"
    assert found[0].similarity > 0.99


def test_nothing_of_a_face_stays_in_a_session_that_is_over(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    sampled(connection, astronaut_embedding)
    connection.save()
    lifecycle.decide(worker.deciding, connection, CANCELLED)
    assert Session.across_tenants.get().checkpoint == ""
    assert not Template.across_tenants.exists()


def test_a_face_that_is_enrolled_under_another_subject_is_refused(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    connection = connected(worker, backend, "enrollment", "bob")
    decision = lifecycle.decide(worker.deciding, connection, sampled(connection, astronaut_embedding))
    assert (decision.success, decision.reason) == (False, "duplicate_face")
    assert not Subject.across_tenants.filter(subject_id="bob").exists()


def test_another_face_cannot_enrol_over_a_subject(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding
) -> None:
    enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    connection = connected(worker, backend, "enrollment", "alice")
    decision = lifecycle.decide(worker.deciding, connection, sampled(connection, hopper_embedding))
    assert (decision.success, decision.reason) == (False, "subject_exists")
    assert Template.across_tenants.count() == 1


@pytest.mark.usefixtures("each_database")
def test_two_enrolments_of_one_face_at_once_make_one_subject(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    connections = [connected(worker, backend, "enrollment", name) for name in ("alice", "bob", "carol", "dave")]

    def deciding(connection: Lease) -> Callable[[], Decision]:
        success = sampled(connection, astronaut_embedding)
        return lambda: lifecycle.decide(worker.deciding, connection, success)

    results = side_by_side([deciding(connection) for connection in connections])
    reasons = sorted(result.reason for result in results if isinstance(result, Decision))
    assert reasons == ["", "duplicate_face", "duplicate_face", "duplicate_face"]
    assert Subject.across_tenants.count() == 1


def test_an_enrolment_that_breaks_off_leaves_nothing(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    with unable_to_sign(worker.deciding.signer, monkeypatch), pytest.raises(RuntimeError, match="no signature"):
        lifecycle.decide(worker.deciding, connection, sampled(connection, astronaut_embedding))
    assert not Template.across_tenants.exists()
    assert not Decision.across_tenants.exists()
    assert Session.across_tenants.get().status == SessionStatus.IN_PROGRESS
    assert worker.deciding.gallery.store.search(backend.tenant, [astronaut_embedding], 1).templates == 0


def test_a_success_on_a_subject_that_was_deleted_meanwhile_is_none(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    connection = connected(worker, backend, "authentication", "alice")
    delete_subject(backend.tenant, "alice")
    success = Outcome(True, None, "alice", Match("alice", 0.9, 0.4))
    decision = lifecycle.decide(worker.deciding, connection, success)
    assert (decision.success, decision.reason, decision.subject_id) == (False, "subject_gone", "")
    assert Session.across_tenants.get().status == SessionStatus.FAILED


def test_an_unknown_token_is_refused(worker: Worker, backend: Backend) -> None:
    begin(worker, backend)
    with pytest.raises(TokenInvalid):
        lifecycle.connect_by_token(worker.deciding, "unknown")


def test_a_token_that_was_never_used_expires(worker: Worker, backend: Backend) -> None:
    session = let_time_pass(begin(worker, backend))
    with pytest.raises(TokenInvalid):
        lifecycle.connect_by_token(worker.deciding, lifecycle.token_of(worker.deciding, session))
    assert state(session)["status"] == SessionStatus.EXPIRED
    assert state(session)["checkpoint"] == ""
    assert not Decision.across_tenants.exists()


def test_a_token_dies_when_its_client_has_heard_the_decision(worker: Worker, backend: Backend) -> None:
    token = lifecycle.token_of(worker.deciding, begin(worker, backend))
    decision = lifecycle.decide(worker.deciding, lifecycle.connect_by_token(worker.deciding, token), FAILED)
    with pytest.raises(AlreadyDecided) as again:
        lifecycle.connect_by_token(worker.deciding, token)
    assert again.value.decision == decision
    lifecycle.note_told(token)
    with pytest.raises(TokenInvalid):
        lifecycle.connect_by_token(worker.deciding, token)


def test_a_token_dies_a_minute_after_the_decision(worker: Worker, backend: Backend) -> None:
    token = lifecycle.token_of(worker.deciding, begin(worker, backend))
    lifecycle.decide(worker.deciding, lifecycle.connect_by_token(worker.deciding, token), FAILED)
    Session.across_tenants.update(retell_until=F("retell_until") - timedelta(minutes=1))
    with pytest.raises(TokenInvalid):
        lifecycle.connect_by_token(worker.deciding, token)


def test_what_a_backend_decides_uses_the_token_up(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    lifecycle.decide(worker.deciding, connection, FAILED)
    with pytest.raises(TokenInvalid):
        lifecycle.connect_by_token(worker.deciding, lifecycle.token_of(worker.deciding, connection.session))


@pytest.mark.parametrize("is_connected", [False, True])
def test_a_cancelled_session_is_over(worker: Worker, backend: Backend, is_connected: bool) -> None:
    session = begin(worker, backend)
    if is_connected:
        lifecycle.connect(worker.deciding, session)
    assert lifecycle.cancel(worker.deciding, session).status == SessionStatus.CANCELLED
    assert decision_of(session).reason == "cancelled"
    with pytest.raises(TokenInvalid):
        lifecycle.connect(worker.deciding, session)


def test_a_connection_learns_that_the_backend_cancelled(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    lifecycle.cancel(worker.deciding, connection.session)
    with pytest.raises(AlreadyDecided) as caught:
        connection.check()
    assert caught.value.decision.reason == "cancelled"


def test_cancelling_what_is_decided_changes_nothing(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    lifecycle.decide(worker.deciding, connection, FAILED)
    before = state(connection.session)
    assert lifecycle.cancel(worker.deciding, connection.session).status == SessionStatus.FAILED
    assert state(connection.session) == before


def test_a_session_is_decided_at_its_time_limit_by_whoever_asks(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    session = let_time_pass(connection.session)
    assert lifecycle.expire_if_due(worker.deciding, session).status == SessionStatus.FAILED
    assert decision_of(session).reason == "timeout"
    with pytest.raises(AlreadyDecided):
        lifecycle.decide(worker.deciding, connection, CANCELLED)


def test_evidence_that_was_complete_is_not_lost_at_the_time_limit(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    connection = connected(worker, backend, "enrollment", "alice")
    sampled(connection, astronaut_embedding)
    connection.save()
    assert lifecycle.expire_if_due(worker.deciding, let_time_pass(connection.session)).status == SessionStatus.SUCCEEDED
    assert Template.across_tenants.count() == 3


def test_a_session_within_its_time_is_left_alone(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    assert lifecycle.expire_if_due(worker.deciding, connection.session).status == SessionStatus.IN_PROGRESS
    assert not Decision.across_tenants.exists()


def test_a_tenant_cannot_see_the_session_of_another(worker: Worker, backend: Backend, rival: Backend) -> None:
    session = begin(worker, backend)
    assert lifecycle.find(backend.tenant, session.pk) == session
    with pytest.raises(SessionNotFound):
        lifecycle.find(rival.tenant, session.pk)
    with pytest.raises(SessionNotFound):
        lifecycle.find(backend.tenant, uuid.uuid4())


def test_no_match_frames_comes_from_the_settings(configure: Configure, backend: Backend) -> None:
    worker = configure(no_match_frames=3)
    assert connected(worker, backend).flow.no_match_frames == 3


def test_a_decision_token_says_what_was_decided_and_by_which_models(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    decision = lifecycle.decide(worker.deciding, connection, FAILED)
    key = jwt.PyJWKSet.from_dict(worker.deciding.signer.jwks())[worker.deciding.signer.key_id]
    claims = jwt.decode(decision.token, key, ["EdDSA"], audience=DECISION_AUDIENCE, issuer=ISSUER)
    assert claims["session"] == str(connection.session.pk)
    assert (claims["outcome"], claims["subject"], claims["reason"]) == ("failure", None, "no_match")
    assert claims["liveness"] == "not_required"
    assert claims["models"] == worker.deciding.model_digests
    assert claims["nonce"]


def test_a_face_that_was_erased_after_it_matched_does_not_match(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding
) -> None:
    enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    connection = connected(worker, backend, "authentication", "alice")
    match = Match("alice", 1.0, 0.5)
    connection.flow.match, connection.flow.matched_probe = match, astronaut_embedding.tobytes()
    delete_subject(backend.tenant, "alice")
    enroll(backend.tenant, "alice", [Sample(hopper_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    decision = lifecycle.decide(worker.deciding, connection, Outcome(True, None, "alice", match))
    assert (decision.success, decision.reason) == (False, "subject_gone")


def test_a_session_that_its_client_left_is_ended_by_periodic_work(worker: Worker, backend: Backend) -> None:
    connection = connected(worker, backend)
    assert lifecycle.expire_overdue(worker.deciding) == 0
    Session.across_tenants.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.expire_overdue(worker.deciding) == 1
    session = Session.across_tenants.get()
    assert (session.status, session.checkpoint) == (SessionStatus.FAILED, "")
    assert decision_of(connection.session).reason == "timeout"


def test_a_session_that_cannot_be_read_holds_up_no_other(worker: Worker, backend: Backend) -> None:
    unreadable, readable = connected(worker, backend), connected(worker, backend)
    Session.across_tenants.update(expires_at=timezone.now() - timedelta(seconds=1))
    Session.across_tenants.filter(pk=unreadable.session.pk).update(checkpoint='{"of": "another version"}')
    assert lifecycle.expire_overdue(worker.deciding) == 2
    assert lifecycle.expire_overdue(worker.deciding) == 0
    assert Session.across_tenants.get(pk=unreadable.session.pk).status == SessionStatus.EXPIRED
    assert decision_of(readable.session).reason == "timeout"


def test_a_cancellation_holds_against_a_client_that_connects_meanwhile(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(worker, backend)
    expire_if_due = lifecycle.expire_if_due

    def connected_meanwhile(deciding: Deciding, session: Session) -> Session:
        monkeypatch.setattr(lifecycle, "expire_if_due", expire_if_due)
        lifecycle.connect(deciding, session)
        return session

    monkeypatch.setattr(lifecycle, "expire_if_due", connected_meanwhile)
    assert lifecycle.cancel(worker.deciding, connection.session).status == SessionStatus.CANCELLED
    assert decision_of(connection.session).reason == "cancelled"


@pytest.mark.parametrize(
    ("policy_is_on", "verdict", "origins"),
    [
        (True, Verdict.PASSED, ["enrolled", "adaptive"]),
        (True, Verdict.NOT_REQUIRED, ["enrolled"]),
        (False, Verdict.PASSED, ["enrolled"]),
    ],
)
def test_only_a_live_success_becomes_a_template_and_only_by_the_tenants_policy(
    worker: Worker,
    alice: Backend,
    astronaut_embedding: Embedding,
    monkeypatch: pytest.MonkeyPatch,
    policy_is_on: bool,
    verdict: Verdict,
    origins: list[str],
) -> None:
    set_policy(alice.tenant, replace(policy_of(alice.tenant), adaptive_templates=policy_is_on))
    monkeypatch.setattr(Liveness, "verdict", verdict)
    succeed(worker, alice, picture(astronaut_embedding, 0.8))
    assert list(Template.across_tenants.order_by("pk").values_list("origin", flat=True)) == origins


def test_the_audit_trail_is_the_last_that_a_decision_locks(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enrolment locks the tenant before the trail: the other way round the two would wait for each other."""
    set_policy(alice.tenant, replace(policy_of(alice.tenant), adaptive_templates=True))
    monkeypatch.setattr(Liveness, "verdict", Verdict.PASSED)
    with CaptureQueriesContext(connection) as queries:
        succeed(worker, alice, picture(astronaut_embedding, 0.8))
    made = [query["sql"] for query in queries]
    stored = max(number for number, sql in enumerate(made) if sql.startswith('INSERT INTO "gallery_template"'))
    assert stored < max(number for number, sql in enumerate(made) if 'FROM "audit_audithead"' in sql)
