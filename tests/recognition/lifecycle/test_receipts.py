"""An erasure is answered with a receipt that anybody can verify, and that names nobody."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest
from jwt import PyJWKSet

from audit.models import AuditEntry
from core.types import Embedding
from recognition.retention import erasure
from recognition.tokens.signing import ALGORITHM, ERASURE_AUDIENCE, ISSUER
from recognition.worker import Worker
from tests.recognition.failing import begun, fail, succeed
from tests.recognition.support import Backend, side_by_side

HEADER = "x-erasure-receipt"


async def read(client: httpx.AsyncClient, receipt: str) -> dict[str, Any]:
    """The claims, verified with the published keys alone."""
    keys = PyJWKSet.from_dict((await client.get("/.well-known/jwks.json")).json())
    key = keys[jwt.get_unverified_header(receipt)["kid"]]
    claims: dict[str, Any] = jwt.decode(receipt, key, [ALGORITHM], audience=ERASURE_AUDIENCE, issuer=ISSUER)
    return claims


async def test_the_receipt_says_what_was_erased_and_of_whom_without_the_name(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, astronaut_embedding: Embedding
) -> None:
    def live() -> None:
        succeed(worker, alice, astronaut_embedding, device_id="phone")
        fail(worker, alice, 2)
        begun(worker, alice)

    await worker.database.run(live)
    reference = (await api.get("/api/v1/subjects/alice/export/")).json()["subject"]["reference"]
    answer = await api.delete("/api/v1/subjects/alice/")
    assert (answer.status_code, answer.content) == (204, b"")
    claims = await read(api, answer.headers[HEADER])
    assert claims["subject"] == reference
    assert claims["tenant"] == "acme"
    assert claims["why"] == "requested"
    counts = {"templates": 1, "sessions": 4, "consents": 0, "known_devices": 1, "failed_attempts": 2}
    assert claims["erased"] == counts
    assert "alice" not in str(claims)
    assert "exp" not in claims
    assert claims["iat"] > 0
    entry = await worker.database.run(AuditEntry.across_tenants.get, kind="subject_erased")
    assert claims["audit"] == f"{entry.sequence}:{entry.hash}"
    assert claims["unread_feedback"] == 0
    assert entry.details == {"why": "requested", **counts, "unread_feedback": 0}


async def test_a_receipt_that_was_changed_does_not_verify(api: httpx.AsyncClient, alice: Backend) -> None:
    receipt = (await api.delete("/api/v1/subjects/alice/")).headers[HEADER]
    head, content, signature = receipt.split(".")
    forged = f"{head}.{content[:-4]}AAAA.{signature}"
    with pytest.raises(jwt.InvalidSignatureError):
        await read(api, forged)


async def test_who_is_not_there_gets_no_receipt(api: httpx.AsyncClient) -> None:
    answer = await api.delete("/api/v1/subjects/nobody/")
    assert answer.status_code == 404
    assert HEADER not in answer.headers


async def test_without_a_signature_nothing_is_erased(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_signature(*_: object) -> str:
        raise RuntimeError("no signature")

    with monkeypatch.context() as broken:
        broken.setattr(type(worker.deciding.signer), "sign_receipt", no_signature)
        assert (await api.delete("/api/v1/subjects/alice/")).status_code == 500
    assert (await api.get("/api/v1/subjects/alice/")).json()["templates"] == 1


def test_erasing_and_lifting_a_lock_side_by_side_do_not_deadlock(
    each_database: str, worker: Worker, astronaut_embedding: Embedding
) -> None:
    from gallery.people import Sample
    from recognition.sessions import lockout
    from tenants.keys import create_tenant
    from tests.enrolling import enroll

    backend = Backend(*create_tenant("acme"))
    deciding = worker.deciding
    for _ in range(5):
        enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], deciding.gallery, deciding.rules)
        fail(worker, backend, 2)
        begun(worker, backend)
        done = side_by_side(
            [
                lambda: erasure.erase_subject(deciding, backend.tenant, "alice"),
                lambda: lockout.lift_subject(backend.tenant, "alice"),
            ]
        )
        assert [error for error in done if isinstance(error, Exception)] == []
