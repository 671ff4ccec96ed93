"""Client addresses: which one counts, its stored form, and its way through a proxy."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from recognition.sessions import lifecycle
from recognition.sessions.addresses import address_digest
from recognition.worker import Worker
from tests.recognition.conftest import Configure
from tests.recognition.failing import fail
from tests.recognition.support import Backend, Faces, Message, asked, connect, service

STRANGER = "203.0.113.7"
JPEG = {"content-type": "image/jpeg"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8:1:2::1", "2001:DB8:1:2:ffff:ffff:ffff:ffff"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_one_network_is_one_address(worker: Worker, one: str, other: str) -> None:
    assert address_digest(worker.settings, one) == address_digest(worker.settings, other)


def test_others_are_others(worker: Worker) -> None:
    hosts = ["203.0.113.7", "203.0.113.8", "2001:db8:1:2::1", "2001:db8:1:3::1", "::"]
    assert len({address_digest(worker.settings, host) for host in hosts}) == len(hosts)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "unix", "203.0.113.7:80"])
def test_what_is_no_clients_address_is_not_counted(worker: Worker, host: str) -> None:
    assert address_digest(worker.settings, host) == ""


def test_an_address_cannot_be_guessed_back_without_the_servers_secret(worker: Worker) -> None:
    other = worker.settings.model_copy(update={"secret_key": "Zk3-unguessable-and-long-enough-9Qx7"})
    digest = address_digest(worker.settings, STRANGER)
    assert STRANGER not in digest
    assert digest != address_digest(other, STRANGER)


async def test_a_socket_from_a_locked_address_is_told_to_wait_and_keeps_its_session(
    worker: Worker, backend: Backend, configure: Configure
) -> None:
    strict = configure(attempts_address_limit=1)
    await worker.database.run(fail, strict, backend, kind="identification", host=STRANGER)
    session = (
        await worker.database.run(lifecycle.create, strict.deciding, backend.tenant, asked("identification"), None)
    ).session
    token = lifecycle.token_of(worker.deciding, session)
    async with connect(token, client=STRANGER) as socket:
        error = await socket.receive()
        assert (error["code"], error["retryable"]) == ("attempts_exceeded", True)
        assert 0 < error["retry_after_ms"] <= strict.settings.attempts_lock_s * 1000
        assert await socket.closed() == 4429
    async with connect(token, client="203.0.113.8") as socket:
        await socket.greeted()


async def test_frames_over_http_count_for_the_client_and_not_for_a_backend(
    api: httpx.AsyncClient, worker: Worker, faces: Faces, configure: Configure
) -> None:
    configure(attempts_address_limit=1, no_match_frames=1)
    assert (await one_frame(api, await new_session(api), faces))["reason"] == "no_match"
    assert (await one_frame(api, await new_session(api), faces))["reason"] == "no_match"
    made = await new_session(api)
    async with client_from(made["token"], STRANGER) as client:
        assert (await one_frame(client, made, faces))["reason"] == "no_match"
    made = await new_session(api)
    async with client_from(made["token"], STRANGER) as client:
        response = await client.post(f"/api/v1/sessions/{made['id']}/frames/", content=faces.hopper, headers=JPEG)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "attempts_exceeded")
    assert int(response.headers["retry-after"]) == response.json()["error"]["details"]["retry_after_s"]
    assert (await one_frame(api, made, faces))["reason"] == "no_match"


async def new_session(api: httpx.AsyncClient) -> Message:
    response = await api.post("/api/v1/sessions/", json={"kind": "identification", "liveness": "none"})
    assert response.status_code == 201, response.text
    made: Message = response.json()
    return made


async def one_frame(client: httpx.AsyncClient, made: Message, faces: Faces) -> Message:
    response = await client.post(f"/api/v1/sessions/{made['id']}/frames/", content=faces.hopper, headers=JPEG)
    answer: Message = response.json()
    return answer


def client_from(token: str, host: str) -> httpx.AsyncClient:
    """An HTTP client with a session's token, at an address."""
    asgi: Any = service
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=asgi, client=(host, 40_000)),
        base_url="http://testserver",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
