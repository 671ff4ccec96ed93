"""A session's challenge terms, resolved from the tenant's policy, the request and the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.liveness.actions import MOVEMENTS
from core.liveness.policy import Policy
from recognition.models import Session
from recognition.sessions import checkpoints, lifecycle
from recognition.sessions.refusals import ChallengeImpossible, PolicyTooWeak
from recognition.sessions.terms import ChallengeTerms, LivenessRequest, resolve_terms
from recognition.worker import Worker
from tenants.liveness_policy import policy_of, set_policy
from tenants.models import Tenant
from tests.recognition.support import Backend, asked, connect
from vocabulary.faces import Action

SESSIONS = "/api/v1/sessions/"
BLINK, LEFT, RIGHT = Action.BLINK, Action.TURN_LEFT, Action.TURN_RIGHT
OF_VERSION_1 = frozenset({BLINK, LEFT, RIGHT})
NEWER = MOVEMENTS - OF_VERSION_1


def ask_for(tenant: Tenant, **changes: Any) -> Tenant:
    set_policy(tenant, replace(policy_of(tenant), **changes))
    return tenant


def test_a_session_that_names_no_policy_gets_the_tenants(worker: Worker, backend: Backend) -> None:
    ask_for(backend.tenant, liveness=Policy.ACTIVE)
    request = replace(asked("identification"), liveness_request=LivenessRequest())
    session = lifecycle.create(worker.deciding, backend.tenant, request, None).session
    assert session.liveness == "active"
    assert checkpoints.read(session, worker.deciding.gallery.protection).liveness.policy is Policy.ACTIVE


def test_a_session_may_ask_for_more_than_the_minimum_and_not_for_less(backend: Backend) -> None:
    tenant = ask_for(backend.tenant, liveness=Policy.PASSIVE, minimum=Policy.PASSIVE)
    assert resolve_terms(tenant, LivenessRequest(Policy.ACTIVE)).liveness is Policy.ACTIVE
    assert resolve_terms(tenant, LivenessRequest(Policy.PASSIVE)).liveness is Policy.PASSIVE
    with pytest.raises(PolicyTooWeak, match="ask for passive or stronger") as caught:
        resolve_terms(tenant, LivenessRequest(Policy.NONE))
    assert caught.value.details == {"minimum": "passive"}


def test_a_default_that_is_weaker_than_the_minimum_does_not_slip_through(backend: Backend) -> None:
    Tenant.objects.filter(pk=backend.tenant.pk).update(liveness="none", liveness_minimum="active")
    backend.tenant.refresh_from_db()
    with pytest.raises(PolicyTooWeak):
        resolve_terms(backend.tenant, LivenessRequest())


@pytest.mark.parametrize("liveness", [Policy.NONE, Policy.PASSIVE])
def test_where_nothing_is_asked_nothing_can_be_too_little(backend: Backend, liveness: Policy) -> None:
    terms = resolve_terms(backend.tenant, LivenessRequest(liveness, frozenset(Action), 1))
    assert terms == ChallengeTerms(liveness, None, frozenset())


def test_a_challenge_may_ask_for_everything_by_default(backend: Backend) -> None:
    assert resolve_terms(backend.tenant, LivenessRequest(Policy.STRICT)) == ChallengeTerms(
        Policy.STRICT, None, MOVEMENTS
    )
    assert resolve_terms(backend.tenant, LivenessRequest(Policy.ACTIVE)).allowed == MOVEMENTS - {Action.MOVE_CLOSER}


def test_light_is_asked_only_where_the_operator_wants_it_and_of_whom_can_bear_it(backend: Backend) -> None:
    assert Action.LIGHT not in resolve_terms(backend.tenant, LivenessRequest(Policy.STRICT)).allowed
    tenant = ask_for(backend.tenant, steps=2, actions=(Action.LIGHT, LEFT, RIGHT))
    assert Action.LIGHT in resolve_terms(tenant, LivenessRequest(Policy.ACTIVE)).allowed
    assert resolve_terms(tenant, LivenessRequest(Policy.ACTIVE, frozenset({Action.LIGHT}))).allowed == {LEFT, RIGHT}
    assert resolve_terms(tenant, LivenessRequest(Policy.ACTIVE, challenge_version=2)).allowed == {LEFT, RIGHT}


def test_what_is_asked_shrinks_by_the_tenant_the_person_and_the_client(backend: Backend) -> None:
    tenant = backend.tenant
    assert resolve_terms(tenant, LivenessRequest(Policy.ACTIVE, challenge_version=1)).allowed == OF_VERSION_1
    assert resolve_terms(tenant, LivenessRequest(Policy.STRICT, frozenset({BLINK}))).allowed == MOVEMENTS - {BLINK}
    ask_for(tenant, steps=1, actions=(BLINK, LEFT))
    assert resolve_terms(tenant, LivenessRequest(Policy.ACTIVE, frozenset({BLINK}))) == ChallengeTerms(
        Policy.ACTIVE, 1, frozenset({LEFT})
    )


@pytest.mark.parametrize("policy", [Policy.ACTIVE, Policy.STRICT])
def test_a_challenge_is_drawn_from_what_is_allowed_alone(worker: Worker, backend: Backend, policy: Policy) -> None:
    tenant = ask_for(backend.tenant, steps=2, actions=(BLINK, LEFT, Action.NOD))
    request = replace(asked("identification"), liveness_request=LivenessRequest(policy, frozenset({BLINK})))
    for _ in range(5):
        challenge = checkpoints.read(
            lifecycle.create(worker.deciding, tenant, request, None).session, worker.deciding.gallery.protection
        ).liveness.challenge
        assert challenge is not None
        assert set(challenge.actions) == {LEFT, Action.NOD}


def test_strict_asks_for_more_than_active_and_counts_as_stronger(worker: Worker, backend: Backend) -> None:
    tenant = ask_for(backend.tenant, liveness=Policy.STRICT, minimum=Policy.STRICT)
    with pytest.raises(PolicyTooWeak):
        resolve_terms(tenant, LivenessRequest(Policy.ACTIVE))
    with pytest.raises(ChallengeImpossible):
        resolve_terms(tenant, LivenessRequest(None, frozenset({BLINK}), 1))
    session = lifecycle.create(
        worker.deciding, tenant, replace(asked("identification"), liveness_request=LivenessRequest()), None
    ).session
    challenge = checkpoints.read(session, worker.deciding.gallery.protection).liveness.challenge
    assert challenge is not None
    assert len(challenge.actions) == 3


def test_too_little_is_refused_with_what_would_be_needed(backend: Backend) -> None:
    liveness_request = LivenessRequest(Policy.ACTIVE, frozenset({LEFT, RIGHT}), challenge_version=1)
    with pytest.raises(ChallengeImpossible, match="needs 2 actions, and blink would remain: 1 more of") as caught:
        resolve_terms(backend.tenant, liveness_request)
    assert caught.value.details == {
        "steps": 2,
        "remaining": ["blink"],
        "needed": [action for action in Action if action is not BLINK],
    }
    assert "liveness passive" in str(caught.value)


def test_a_way_out_that_the_tenant_forbids_is_not_recommended(backend: Backend) -> None:
    tenant = ask_for(backend.tenant, liveness=Policy.ACTIVE, minimum=Policy.ACTIVE)
    with pytest.raises(ChallengeImpossible) as caught:
        resolve_terms(tenant, LivenessRequest(None, frozenset(Action)))
    assert "and none would remain" in str(caught.value)
    assert "passive" not in str(caught.value)


@pytest.mark.parametrize("version", [1, 2])
def test_the_id_of_a_challenge_says_its_version(worker: Worker, backend: Backend, version: int) -> None:
    request = replace(
        asked("identification"), liveness_request=LivenessRequest(Policy.ACTIVE, challenge_version=version)
    )
    challenge = checkpoints.read(
        lifecycle.create(worker.deciding, backend.tenant, request, None).session, worker.deciding.gallery.protection
    ).liveness.challenge
    assert challenge is not None
    assert challenge.id.startswith(f"v{version}.")
    assert version == 2 or set(challenge.actions) <= OF_VERSION_1


@pytest.mark.parametrize(
    "other",
    [
        LivenessRequest(),
        LivenessRequest(Policy.NONE, frozenset({BLINK})),
        LivenessRequest(Policy.NONE, challenge_version=1),
    ],
)
def test_an_idempotency_key_is_not_good_for_another_wish(
    worker: Worker, backend: Backend, other: LivenessRequest
) -> None:
    lifecycle.create(worker.deciding, backend.tenant, asked("identification"), "key-1")
    with pytest.raises(lifecycle.IdempotencyConflict):
        lifecycle.create(
            worker.deciding, backend.tenant, replace(asked("identification"), liveness_request=other), "key-1"
        )


def test_a_repeated_request_is_answered_alike_after_the_policy_changed(worker: Worker, backend: Backend) -> None:
    request = replace(asked("identification"), liveness_request=LivenessRequest())
    first = lifecycle.create(worker.deciding, backend.tenant, request, "key-1").session
    ask_for(backend.tenant, liveness=Policy.ACTIVE, minimum=Policy.ACTIVE)
    assert lifecycle.create(worker.deciding, backend.tenant, request, "key-1").session.pk == first.pk


async def test_the_api_refuses_what_is_too_weak(api: httpx.AsyncClient, worker: Worker, backend: Backend) -> None:
    await worker.database.run(ask_for, backend.tenant, liveness=Policy.ACTIVE, minimum=Policy.ACTIVE)
    response = await api.post(SESSIONS, json={"kind": "identification", "liveness": "passive"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "policy_too_weak")
    assert error["details"] == {"minimum": "active"}
    made = (await api.post(SESSIONS, json={"kind": "identification", "liveness": None})).json()
    assert made["challenge"]["id"].startswith("v2.")
    assert (await api.get(f"{SESSIONS}{made['id']}/")).json()["liveness"] == "active"


async def test_the_api_says_what_a_challenge_would_need(api: httpx.AsyncClient) -> None:
    body = {"kind": "identification", "liveness": "active", "avoid": [*Action][1:]}
    response = await api.post(SESSIONS, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "challenge_impossible")
    assert error["details"]["remaining"] == ["blink"]


@pytest.mark.parametrize(
    "wrong", [{"liveness": "firm"}, {"avoid": ["jump"]}, {"avoid": "blink"}, {"challenge_version": 4}]
)
async def test_words_that_mean_nothing_are_refused(api: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    response = await api.post(SESSIONS, json={"kind": "identification", **wrong})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "validation_error")


def began(worker: Worker, backend: Backend, *actions: str) -> str:
    """The token of a session with a challenge of these actions in place of a random one."""
    session = lifecycle.create(
        worker.deciding, backend.tenant, asked("identification", liveness=Policy.ACTIVE), None
    ).session
    flow = checkpoints.read(session, worker.deciding.gallery.protection)
    assert flow.liveness.challenge is not None
    flow.liveness.challenge.actions = [Action(action) for action in actions]
    session.checkpoint = checkpoints.write(flow, session, worker.deciding.gallery.protection)
    session.save()
    return lifecycle.token_of(worker.deciding, session)


async def test_a_client_that_cannot_show_the_challenge_is_told_and_takes_nothing_over(
    worker: Worker, backend: Backend
) -> None:
    newer = min(NEWER)
    token = await worker.database.run(began, worker, backend, "blink", newer)
    async with connect(token, query="?challenge_version=1") as socket:
        error = await socket.receive()
        assert (error["type"], error["code"], error["retryable"]) == ("error", "challenge_unsupported", False)
        assert newer in error["message"]
        assert await socket.closed() == 4400
    session = await worker.database.run(Session.across_tenants.get)
    assert (session.status, session.lease_number) == ("created", 0)
    async with connect(token, query="?challenge_version=2") as socket:
        await socket.greeted()


async def test_an_old_client_may_show_what_it_knows(worker: Worker, backend: Backend) -> None:
    token = await worker.database.run(began, worker, backend, "blink", "turn_left")
    async with connect(token, query="?challenge_version=1") as socket:
        assert [step["action"] for step in (await socket.greeted())["challenge"]["steps"]] == ["blink", "turn_left"]


@pytest.mark.parametrize("query", ["", "?challenge_version=2", "?challenge_version=3", "?other=1"])
async def test_a_client_that_says_nothing_is_new(worker: Worker, backend: Backend, query: str) -> None:
    token = await worker.database.run(began, worker, backend, *sorted(Action)[-2:])
    async with connect(token, query=query) as socket:
        await socket.greeted()


@pytest.mark.parametrize("version", ["0", "-1", "new", "1.5", "9" * 5000])
async def test_a_version_that_is_no_number_is_refused(worker: Worker, backend: Backend, version: str) -> None:
    token = await worker.database.run(began, worker, backend, "blink", "turn_left")
    async with connect(token, query=f"?challenge_version={version}") as socket:
        assert await socket.refused() == ("invalid_message", 4400)
