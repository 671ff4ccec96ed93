"""Keys over HTTP: issued, listed, rotated, revoked; scopes and life of access tokens."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from django.utils import timezone

from recognition.api.auth import allows
from recognition.worker import Worker
from tenants.keys import issue_key, keys_of, revoke_unless_last_admin, rotate_key
from tenants.models import ApiKey
from tenants.scopes import Scope
from tenants.usage import key_uses
from tests.recognition.api.test_api import error_of
from tests.recognition.support import Backend, Message, http_client, side_by_side

KEYS = "/api/v1/keys/"
SUBJECTS = "/api/v1/subjects/"


async def issue(api: httpx.AsyncClient, *scopes: str, **fields: Any) -> Message:
    response = await api.post(KEYS, json={"name": "door", "scopes": scopes or ["subjects"], **fields})
    assert response.status_code == 201, response.text
    issued: Message = response.json()
    return issued


async def status_with(key: str, path: str = SUBJECTS) -> int:
    async with http_client(key) as client:
        return (await client.get(path)).status_code


async def listed(api: httpx.AsyncClient) -> list[Message]:
    items: list[Message] = (await api.get(KEYS)).json()["items"]
    return items


@asynccontextmanager
async def access(key: str, scopes: Iterable[str] | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an access token that was made from the key."""
    async with http_client(key) as client:
        response = await client.post("/api/v1/auth/token/", json=None if scopes is None else {"scopes": scopes})
    assert response.status_code == 200, response.text
    async with http_client(response.json()["access_token"]) as client:
        yield client


async def change(worker: Worker, key: Message, **fields: Any) -> None:
    assert await worker.database.run(lambda: ApiKey.across_tenants.filter(public_id=key["id"]).update(**fields)) == 1


async def test_a_key_is_shown_once_and_works(api: httpx.AsyncClient) -> None:
    issued = await issue(api, "subjects", "read")
    assert issued["api_key"].startswith(issued["prefix"])
    assert (issued["name"], issued["scopes"], issued["expires_at"]) == ("door", ["subjects", "read"], None)
    assert await status_with(issued["api_key"]) == 200
    told = (await api.get(KEYS)).text
    assert issued["id"] in told
    assert issued["api_key"] not in told
    assert issued["api_key"].removeprefix(issued["prefix"]) not in told


async def test_the_first_key_is_listed_with_every_scope(api: httpx.AsyncClient, backend: Backend) -> None:
    (key,) = await listed(api)
    assert set(key["scopes"]) == set(Scope)
    assert backend.key.startswith(key["prefix"])


async def test_keys_are_listed_in_pages(api: httpx.AsyncClient) -> None:
    ids = [(await listed(api))[0]["id"]] + [(await issue(api))["id"] for _ in range(4)]
    found, cursor = [], ""
    while cursor is not None:
        content = (await api.get(KEYS, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        found += [key["id"] for key in content["items"]]
        cursor = content["next_cursor"]
    assert found == ids


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["read"], "name": "x" * 65},
        {"scopes": ["read"], "name": "a\x00b"},
        {"scopes": ["read"], "name": "a\nb"},
        {"scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"},
        {"scopes": ["read"], "expires_at": "2999-01-01T00:00:00"},
        {"scopes": ["read"], "expires_in_s": 0},
        {"scopes": ["read"], "expires_in_s": 10**18},
        {"scopes": ["read"], "expires_in_s": 60, "expires_at": "2999-01-01T00:00:00Z"},
        {"scopes": ["read"], "surprise": 1},
    ],
)
async def test_a_key_that_cannot_be_is_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert error_of(await api.post(KEYS, json=body)) == (422, "validation_error")
    assert len(await listed(api)) == 1


@pytest.mark.parametrize("end", [{"expires_in_s": 3600}, {"expires_at": "2999-01-01T00:00:00+02:00"}])
async def test_a_key_may_have_an_end(api: httpx.AsyncClient, worker: Worker, end: dict[str, Any]) -> None:
    issued = await issue(api, **end)
    assert issued["expires_at"] is not None
    assert await status_with(issued["api_key"]) == 200
    async with access(issued["api_key"]) as client:
        await change(worker, issued, expires_at=timezone.now() - timedelta(seconds=1))
        assert error_of(await client.get(SUBJECTS)) == (401, "unauthorized")
    assert await status_with(issued["api_key"]) == 401


async def test_a_revoked_key_and_its_tokens_end_at_once_and_the_others_do_not(api: httpx.AsyncClient) -> None:
    issued, other = await issue(api), await issue(api)
    async with access(issued["api_key"]) as client, access(other["api_key"]) as unconcerned:
        assert (await client.get(SUBJECTS)).status_code == 200
        assert (await api.delete(f"{KEYS}{issued['id']}/")).status_code == 204
        assert error_of(await client.get(SUBJECTS)) == (401, "unauthorized")
        assert (await unconcerned.get(SUBJECTS)).status_code == 200
    assert await status_with(issued["api_key"]) == 401
    assert await status_with(other["api_key"]) == 200
    assert issued["id"] not in [key["id"] for key in await listed(api)]
    assert error_of(await api.delete(f"{KEYS}{issued['id']}/")) == (404, "key_not_found")


async def test_the_last_admin_key_stays(api: httpx.AsyncClient, worker: Worker) -> None:
    (first,) = await listed(api)
    path = f"{KEYS}{first['id']}/"
    await issue(api, "sessions", "subjects", "faces", "read")
    assert error_of(await api.delete(path)) == (409, "last_admin_key")
    second = await issue(api, "admin")
    await change(worker, second, expires_at=timezone.now() - timedelta(seconds=1))
    assert error_of(await api.delete(path)) == (409, "last_admin_key")
    await change(worker, second, expires_at=None)
    assert (await api.delete(path)).status_code == 204
    async with http_client(second["api_key"]) as client:
        assert error_of(await client.delete(f"{KEYS}{second['id']}/")) == (409, "last_admin_key")


def test_of_two_admin_keys_that_are_revoked_at_once_one_stays(backend: Backend) -> None:
    for _ in range(5):
        issue_key(backend.tenant, "second", [Scope.ADMIN])
        ids = [key.public_id for key in keys_of(backend.tenant)]
        results = side_by_side([partial(revoke_unless_last_admin, backend.tenant, key_id) for key_id in ids])
        assert sorted(type(result).__name__ for result in results) == ["ApiKey", "LastAdminKey"], results
        assert keys_of(backend.tenant).count() == 1


def test_a_key_that_is_rotated_twice_at_once_has_one_successor(backend: Backend) -> None:
    key = keys_of(backend.tenant).get()
    call = partial(rotate_key, backend.tenant, key.public_id, timedelta(hours=1))
    results = side_by_side([call, call, call])
    assert sorted(type(result).__name__ for result in results) == ["IssuedKey", "KeyReplaced", "KeyReplaced"], results
    assert keys_of(backend.tenant).count() == 2


async def test_a_key_that_was_replaced_does_not_count_as_an_admin_key_that_is_left(api: httpx.AsyncClient) -> None:
    (first,) = await listed(api)
    new = (await api.post(f"{KEYS}{first['id']}/rotate/")).json()
    assert error_of(await api.delete(f"{KEYS}{new['id']}/")) == (409, "last_admin_key")
    assert (await api.delete(f"{KEYS}{first['id']}/")).status_code == 204
    assert await status_with(new["api_key"], KEYS) == 200


@pytest.mark.parametrize(("body", "overlap_s"), [(None, 86_400), ({"overlap_s": 60}, 60), ({"overlap_s": 0}, 0)])
async def test_a_rotation_issues_the_same_key_anew_and_lets_the_old_one_live_on(
    api: httpx.AsyncClient, body: dict[str, Any] | None, overlap_s: int
) -> None:
    old = await issue(api, "subjects", "read")
    before = timezone.now()
    response = await api.post(f"{KEYS}{old['id']}/rotate/", json=body)
    assert response.status_code == 201
    new = response.json()
    assert new["api_key"] != old["api_key"]
    assert (new["name"], new["scopes"], new["expires_at"]) == (old["name"], old["scopes"], None)
    assert await status_with(new["api_key"]) == 200
    assert await status_with(old["api_key"]) == (200 if overlap_s else 401)
    (end,) = [key["expires_at"] for key in await listed(api) if key["id"] == old["id"]]
    left = datetime.fromisoformat(end) - before
    assert timedelta(seconds=overlap_s) - timedelta(milliseconds=1) <= left
    assert left <= timezone.now() - before + timedelta(seconds=overlap_s)


async def test_a_key_that_ends_is_replaced_by_one_that_lives_as_long_and_ends_no_later_itself(
    api: httpx.AsyncClient, worker: Worker
) -> None:
    old = await issue(api, expires_in_s=600)
    new = (await api.post(f"{KEYS}{old['id']}/rotate/", json={"overlap_s": 3600})).json()

    def times(key: Message) -> tuple[Any, ...]:
        return ApiKey.across_tenants.values_list("created_at", "expires_at").get(public_id=key["id"])

    created, expires = await worker.database.run(times, new)
    assert abs((expires - created).total_seconds() - 600) < 1
    assert (await worker.database.run(times, old))[1].isoformat()[:19] == old["expires_at"][:19]


async def test_a_key_is_replaced_once(api: httpx.AsyncClient) -> None:
    old = await issue(api)
    assert (await api.post(f"{KEYS}{old['id']}/rotate/")).status_code == 201
    assert error_of(await api.post(f"{KEYS}{old['id']}/rotate/")) == (409, "key_replaced")
    assert error_of(await api.post(f"{KEYS}{uuid.uuid4()}/rotate/")) == (404, "key_not_found")
    assert error_of(await api.post(f"{KEYS}{old['id']}/rotate/", json={"overlap_s": -1})) == (422, "validation_error")


async def test_an_access_token_names_its_key_and_scopes(api: httpx.AsyncClient) -> None:
    issued = await issue(api, "sessions", "read")
    async with access(issued["api_key"]) as client:
        token = client.headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["key"], claims["scope"]) == (issued["id"], "sessions read")


async def test_an_access_token_may_be_made_for_less_but_not_for_more(api: httpx.AsyncClient) -> None:
    issued = await issue(api, "subjects", "faces")
    async with access(issued["api_key"], ["faces"]) as client:
        assert error_of(await client.get(SUBJECTS)) == (403, "scope_missing")
        assert error_of(await client.post("/api/v1/faces/detect/")) == (422, "validation_error")
    async with http_client(issued["api_key"]) as client:
        response = await client.post("/api/v1/auth/token/", json={"scopes": ["faces", "read"]})
        assert error_of(response) == (403, "scope_missing")
        assert response.json()["error"]["details"] == {"needs": ["read"]}
        assert error_of(await client.post("/api/v1/auth/token/", json={"scopes": []})) == (422, "validation_error")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"scopes":null}', b"null"])
async def test_an_access_token_has_all_scopes_when_none_are_named(
    api: httpx.AsyncClient, worker: Worker, body: bytes
) -> None:
    response = await api.post("/api/v1/auth/token/", content=body, headers={"content-type": "application/json"})
    token = response.json()["access_token"]
    for scope in Scope:
        assert await worker.database.run(allows, worker.deciding.signer, token, scope)


async def test_a_misspelt_wish_gets_no_token_that_can_do_more(api: httpx.AsyncClient) -> None:
    response = await api.post("/api/v1/auth/token/", json={"scope": ["read"]})
    assert error_of(response) == (422, "validation_error")


async def test_an_access_token_lives_no_longer_than_its_key(api: httpx.AsyncClient) -> None:
    issued = await issue(api, expires_in_s=100)
    async with http_client(issued["api_key"]) as client:
        answer = (await client.post("/api/v1/auth/token/")).json()
    assert 0 < answer["expires_in"] <= 100


async def test_an_access_token_loses_what_its_key_loses(api: httpx.AsyncClient, worker: Worker) -> None:
    issued = await issue(api, "subjects", "faces")
    async with access(issued["api_key"]) as client:
        assert (await client.get(SUBJECTS)).status_code == 200
        await change(worker, issued, scopes=["faces", "a scope of a newer version"])
        assert error_of(await client.get(SUBJECTS)) == (403, "scope_missing")


async def test_admin_stands_for_every_scope(api: httpx.AsyncClient) -> None:
    issued = await issue(api, "admin")
    assert await status_with(issued["api_key"], KEYS) == 200
    assert await status_with(issued["api_key"], SUBJECTS) == 200


async def test_the_use_of_a_key_is_noted_once_a_minute_and_by_no_request(
    api: httpx.AsyncClient, worker: Worker
) -> None:
    await worker.database.run(key_uses.write)  # Clears the notes of other tests.
    issued = await issue(api)
    await worker.database.run(key_uses.write)
    async with access(issued["api_key"]) as client:
        for _ in range(3):
            await client.get(SUBJECTS)

    def last_used() -> Any:
        return ApiKey.across_tenants.get(public_id=issued["id"]).last_used_at

    assert await worker.database.run(last_used) is None
    assert await worker.database.run(key_uses.write) >= 1
    noted = await worker.database.run(last_used)
    assert abs(timezone.now() - noted) < timedelta(minutes=1)
    await status_with(issued["api_key"])
    assert await worker.database.run(key_uses.write) == 0
    assert await worker.database.run(last_used) == noted
    await change(worker, issued, last_used_at=noted - timedelta(minutes=2))
    await status_with(issued["api_key"])
    assert await worker.database.run(key_uses.write) == 1
    assert await worker.database.run(last_used) > noted


async def test_others_can_ask_what_a_key_or_token_is_allowed(
    api: httpx.AsyncClient, backend: Backend, worker: Worker
) -> None:
    reader = await worker.database.run(issue_key, backend.tenant, "metrics", [Scope.READ])
    async with access(reader.text) as client:
        token = client.headers["authorization"].removeprefix("Bearer ")
    for credential in (reader.text, token):
        assert await worker.database.run(allows, worker.deciding.signer, credential, Scope.READ)
        assert not await worker.database.run(allows, worker.deciding.signer, credential, Scope.FACES)
    for nonsense in ("", "fk_", "fk_nonsense", "a.b.c", token[:-4]):
        assert not await worker.database.run(allows, worker.deciding.signer, nonsense, Scope.READ)
