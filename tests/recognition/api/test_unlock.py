"""An operator and a backend can read and lift a subject's locks."""

from __future__ import annotations

import json
from io import StringIO

import httpx
import pytest
from django.core.management import CommandError, call_command

from core.types import Embedding
from recognition.models import FailedAttempts
from recognition.worker import Worker
from tests.recognition.failing import LIMIT, LOCK_S, begun, fail, locked, succeed
from tests.recognition.support import Backend


def unlock(*arguments: str) -> str:
    out = StringIO()
    call_command("unlock", *arguments, stdout=out)
    return out.getvalue()


def test_a_subject_is_unlocked_wherever_it_is_locked(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    succeed(worker, alice, astronaut_embedding, device_id="phone")
    fail(worker, alice, LIMIT, device_id="PHONE")
    fail(worker, alice, LIMIT)
    fail(worker, alice, LIMIT, device_id="tablet")
    assert json.loads(unlock("--tenant", "acme", "--subject", "alice", "--json")) == {"tenant": "acme", "lifted": 3}
    for device_id in ("", "phone", "laptop"):
        begun(worker, alice, device_id=device_id)
    assert locked(alice, device_id="tablet"), "strangers use that one, too"


def test_a_device_is_unlocked_however_it_is_written(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, LIMIT, kind="identification", device_id="Kiosk")
    assert unlock("--tenant", "acme", "--device", "KIOSK").startswith("1 ")
    begun(worker, alice, "identification", "kiosk")


def test_an_address_is_unlocked(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, 4 * LIMIT, kind="identification", host="2001:db8::1")
    assert unlock("--tenant", "acme", "--address", "2001:db8::2").startswith("1 ")
    begun(worker, alice, "identification", host="2001:db8::1")


def test_another_tenants_lock_stays(worker: Worker, alice: Backend, rival: Backend) -> None:
    fail(worker, alice, LIMIT)
    assert unlock("--tenant", "rival", "--subject", "alice").startswith("0 ")
    assert locked(alice, "alice")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tenant", "nobody", "--subject", "alice"), "there is no tenant 'nobody'; there is: acme"),
        (("--tenant", "acme"), "one of the arguments --subject --device --address is required"),
        (("--subject", "alice"), "--tenant"),
        (("--tenant", "acme", "--subject", "alice", "--device", "phone"), "not allowed with"),
        (("--tenant", "acme", "--address", "localhost"), "'localhost' is no address of a client"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(backend: Backend, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        unlock(*arguments)


async def test_a_backend_sees_and_lifts_what_holds_a_subject_back(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    await worker.database.run(succeed, worker, alice, astronaut_embedding, device_id="Phone")
    await worker.database.run(fail, worker, alice, LIMIT, device_id="phone")
    await worker.database.run(fail, worker, alice, LIMIT)
    told = (await api.get("/api/v1/subjects/alice/lock/")).json()
    assert told["subject_id"] == "alice"
    assert [(lock["applies_to"], lock["device_id"]) for lock in told["locks"]] == [
        ("device", "phone"),
        ("unknown_devices", None),
        ("unnamed_device", None),
    ]
    assert LOCK_S - 60 < told["locks"][0]["retry_after_s"] <= LOCK_S
    assert 0 < told["locks"][1]["retry_after_s"] <= 2, "a wait is told as well"
    assert (await api.delete("/api/v1/subjects/alice/lock/")).status_code == 204
    assert (await api.get("/api/v1/subjects/alice/lock/")).json()["locks"] == []
    body = {"kind": "authentication", "subject_id": "alice", "device_id": "phone"}
    assert (await api.post("/api/v1/sessions/", json=body)).status_code == 201


async def test_nothing_to_lift_is_fine_and_nobody_is_not_found(api: httpx.AsyncClient, alice: Backend) -> None:
    assert (await api.delete("/api/v1/subjects/alice/lock/")).status_code == 204
    for method in ("GET", "DELETE"):
        response = await api.request(method, "/api/v1/subjects/nobody/lock/")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "subject_not_found")


async def test_who_could_not_be_enrolled_is_unlocked_as_well(
    api: httpx.AsyncClient, worker: Worker, backend: Backend
) -> None:
    await worker.database.run(fail, worker, backend, LIMIT, kind="enrollment", subject_id="bob")
    assert (await api.get("/api/v1/subjects/bob/lock/")).json()["locks"]
    assert (await api.delete("/api/v1/subjects/bob/lock/")).status_code == 204
    assert not await worker.database.run(FailedAttempts.across_tenants.exists)


async def test_a_tenant_lifts_its_own_locks_only(
    rival_api: httpx.AsyncClient, worker: Worker, alice: Backend, rival: Backend
) -> None:
    await worker.database.run(fail, worker, alice, LIMIT)
    assert (await rival_api.delete("/api/v1/subjects/alice/lock/")).status_code == 404
    assert await worker.database.run(locked, alice, "alice")
