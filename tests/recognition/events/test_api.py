"""Webhooks over REST: from the first request to a delivery that is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from recognition.worker import Worker
from testkit.receivers import Receiver, answers, receiver
from tests.recognition.api.test_api import error_of
from tests.recognition.conftest import Configure
from tests.recognition.support import Backend, in_database
from tests.webhooks.support import let_time_pass, work

URL = "/api/v1/webhooks/"


@pytest.fixture
def there(settings: Any, configure: Configure) -> Iterator[Receiver]:
    """A receiver that the operator allows."""
    settings.FACE = configure(webhook_allow=("127.0.0.1",)).settings
    with receiver() as found:
        yield found


async def create(api: httpx.AsyncClient, url: str, **fields: Any) -> dict[str, Any]:
    answer = await api.post(URL, json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def deliveries(api: httpx.AsyncClient, webhook: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = await api.get(f"{URL}{webhook['id']}/deliveries/", params=params)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_a_secret_is_shown_once(api: httpx.AsyncClient, there: Receiver) -> None:
    made = await create(api, there.url, events=["lock.raised"], description="mine")
    assert made.pop("secret").startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": there.url,
        "events": ["lock.raised"],
        "description": "mine",
        "enabled": True,
        "disabled_because": None,
        "failing_since": None,
        "created_at": made["created_at"],
    }
    assert (await api.get(URL)).json() == {"items": [made], "next_cursor": None}
    assert (await api.get(f"{URL}{made['id']}/")).json() == made
    changed = (await api.patch(f"{URL}{made['id']}/", json={"enabled": False, "events": []})).json()
    assert changed == made | {"enabled": False, "disabled_because": "requested", "events": []}
    assert (await api.delete(f"{URL}{made['id']}/")).status_code == 204
    assert (await api.get(URL)).json()["items"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "ftp://1.1.1.1/",
        "https://user@1.1.1.1/",
    ],
)
async def test_an_address_that_is_not_public_is_refused(api: httpx.AsyncClient, url: str) -> None:
    assert error_of(await api.post(URL, json={"url": url})) == (422, "webhook_url_refused")
    made = await create(api, "https://1.1.1.1/")
    assert error_of(await api.patch(f"{URL}{made['id']}/", json={"url": url})) == (422, "webhook_url_refused")


async def test_outside_development_there_is_https_alone(api: httpx.AsyncClient, configure: Configure) -> None:
    configure(app_env="production")
    assert error_of(await api.post(URL, json={"url": "http://1.1.1.1/"})) == (422, "webhook_url_refused")
    await create(api, "https://1.1.1.1/")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": "https://1.1.1.1/" + "a" * 2_000},
        {"url": "https://1.1.1.1/", "events": ["session.begun"]},
        {"url": "https://1.1.1.1/", "description": "a\u0000b"},
        {"url": "https://1.1.1.1/", "secret": "mine"},
    ],
)
async def test_bad_fields_are_named(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert error_of(await api.post(URL, json=body)) == (422, "validation_error")


async def test_a_delivery_is_listed_with_its_tries_and_sent_again(
    api: httpx.AsyncClient, worker: Worker, there: Receiver
) -> None:
    there.will(answers(500, b"later"), answers(200, b"thanks"))
    made = await create(api, there.url)
    first = (await api.post(f"{URL}{made['id']}/test/")).json()
    assert (first["type"], first["status"], first["attempts"]) == ("webhook.test", "pending", [])
    for _ in range(2):
        await in_database(worker, work)
        await in_database(worker, let_time_pass)
    (listed,) = (await deliveries(api, made))["items"]
    assert (listed["id"], listed["webhook_id"], listed["status"]) == (first["id"], made["id"], "delivered")
    assert [(one["status_code"], one["answer"], one["error"]) for one in listed["attempts"]] == [
        (500, "later", "the receiver answered 500"),
        (200, "thanks", None),
    ]
    for again in (f"{URL}{made['id']}/deliveries/{first['id']}/replay/", f"{URL}deliveries/{first['id']}/replay/"):
        answer = await api.post(again)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        assert error_of(await api.post(again)) == (409, "not_replayable")
        await in_database(worker, work)
    assert {request.headers["webhook-id"] for request in there.received} == {first["id"]}
    assert len(there.received) == 4


async def test_deliveries_come_in_pages_newest_first(api: httpx.AsyncClient, there: Receiver) -> None:
    made = await create(api, there.url)
    sent = [(await api.post(f"{URL}{made['id']}/test/")).json()["id"] for _ in range(3)]
    page = await deliveries(api, made, limit=2)
    rest = await deliveries(api, made, limit=2, cursor=page["next_cursor"])
    assert [one["id"] for one in page["items"] + rest["items"]] == sent[::-1]
    assert rest["next_cursor"] is None


async def test_a_change_over_rest_is_told(api: httpx.AsyncClient, worker: Worker, there: Receiver) -> None:
    await create(api, there.url, events=["subject.created"])
    await api.post("/api/v1/subjects/", json={"subject_id": "alice"})
    await in_database(worker, work)
    assert len(there.received) == 1
    assert b'"subject_id":"alice"' in there.received[0].body


async def test_another_tenants_webhooks_are_not_there(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, rival: Backend
) -> None:
    made = await create(rival_api, "https://1.1.1.1/")
    sent = (await rival_api.post(f"{URL}{made['id']}/test/")).json()
    mine = await create(api, "https://1.1.1.1/")
    assert error_of(await api.get(f"{URL}{made['id']}/deliveries/")) == (404, "webhook_not_found")
    assert error_of(await api.post(f"{URL}{mine['id']}/deliveries/{sent['id']}/replay/")) == (404, "delivery_not_found")
    assert error_of(await api.post(f"{URL}deliveries/{sent['id']}/replay/")) == (404, "delivery_not_found")
    assert [one["id"] for one in (await api.get(URL)).json()["items"]] == [mine["id"]]
