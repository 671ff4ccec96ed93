"""What a service in production tells of itself, and to whom."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from testkit import loopback
from testkit.service import LiveService, running_service
from tests.processes import run

PRODUCTION = {"APP_ENV": "production", "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7"}
GUARDED = ("/metrics", "/api/pool/status/", "/api/docs")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory = tmp_path_factory.mktemp("production")
    with running_service(directory, workers=1, pool_size=1, environment=PRODUCTION) as service:
        yield service


def managed(service: LiveService, *arguments: str) -> dict[str, str]:
    done = run("manage.py", *arguments, "--json", **PRODUCTION, FACE_DATA_DIR=str(service.data_dir))
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def reader(service: LiveService) -> str:
    return managed(service, "create_tenant", "acme")["api_key"]


def asked(service: LiveService, path: str, key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return loopback.get(service.base_url + path, headers=headers, timeout=10)


@pytest.mark.parametrize("path", ["/api/health/", "/api/ready/"])
def test_everybody_may_ask_how_it_is(service: LiveService, path: str) -> None:
    assert asked(service, path).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
def test_the_rest_is_for_keys_that_may_read(service: LiveService, reader: str, path: str) -> None:
    other = managed(service, "keys", "issue", "--tenant", "acme", "--scopes", "sessions", "--name", path)["api_key"]
    assert asked(service, path).status_code == 401
    assert asked(service, path, "fk_unknown").json()["error"]["code"] == "unauthorized"
    refused = asked(service, path, other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert asked(service, path, reader).status_code == 200


def test_nothing_is_made_by_itself(service: LiveService) -> None:
    assert service.api_key == ""
