"""The example of docs/webhooks.md verifies what the service sends, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from testkit.receivers import Received, Receiver
from testkit.service import REPOSITORY
from tests.webhooks import conftest
from tests.webhooks.support import happened, work
from webhooks import endpoints
from webhooks.endpoints import NewEndpoint

allowed, tenant, there = conftest.allowed, conftest.tenant, conftest.there

Verified = Callable[..., bool]


@pytest.fixture(scope="module")
def verified() -> Verified:
    """The function of the document."""
    (code,) = re.findall(r"```python\n(.+?)```", (REPOSITORY / "docs" / "webhooks.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return cast("Verified", names["verified"])


@pytest.fixture
def sent(tenant: Any, there: Receiver, allowed: object) -> tuple[str, Received]:
    """A secret, and what was sent with it."""
    made = endpoints.create(tenant, NewEndpoint(there.url))
    happened(tenant, "zo\u00eb")
    work()
    return made.secret, there.received[0]


def test_the_example_verifies_what_is_sent(verified: Verified, sent: tuple[str, Received]) -> None:
    secret, request = sent
    assert verified(secret, request.headers, request.body)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers, body: (headers, body + b" "),
        lambda headers, body: ({**headers, "webhook-id": "another"}, body),
        lambda headers, body: ({**headers, "webhook-timestamp": str(int(time.time()) - 3_600)}, body),
        lambda headers, body: ({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
        lambda headers, body: ({**headers, "webhook-signature": "v1,AAAA"}, body),
        lambda headers, body: ({**headers, "webhook-signature": ""}, body),
    ],
    ids=["body", "id", "old", "timestamp", "signature", "no signature"],
)
def test_the_example_verifies_nothing_else(
    verified: Verified,
    sent: tuple[str, Received],
    change: Callable[[Mapping[str, str], bytes], tuple[Mapping[str, str], bytes]],
) -> None:
    secret, request = sent
    assert not verified(secret, *change(request.headers, request.body))


def test_another_secret_verifies_nothing(verified: Verified, sent: tuple[str, Received]) -> None:
    _, request = sent
    assert not verified("whsec_" + "A" * 43 + "=", request.headers, request.body)
