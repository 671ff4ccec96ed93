"""A tenant, receivers on loopback that the operator allows, and endpoints there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.receivers import Receiver, receiver

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def allowed(settings: Any) -> Any:
    """Lets webhooks be sent to this machine; `allowed(name=value)` changes other settings of the service, too."""

    def change(**changes: Any) -> None:
        settings.FACE = settings.FACE.model_copy(update=changes)

    change(webhook_allow=LOOPBACK)
    return change


@pytest.fixture
def tenant(each_database: str) -> Tenant:
    """Of each database in turn."""
    return create_tenant("acme")[0]


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found
