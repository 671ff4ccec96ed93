"""FACE_ADMIN_BIND on a real server: guarded paths are at that address only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit import loopback
from testkit.service import LiveService, free_port, running_service
from web.access.status_access import GUARDED

FORGED = {"Host": "127.0.0.1:{port}", "X-Forwarded-Host": "127.0.0.1:{port}", "X-Forwarded-Port": "{port}"}


@pytest.fixture(scope="module")
def admin_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, admin_port: int) -> Iterator[LiveService]:
    directory: Path = tmp_path_factory.mktemp("service")
    environment = {"FACE_ADMIN_BIND": f"127.0.0.1:{admin_port}"}
    with running_service(directory, workers=2, pool_size=1, environment=environment) as service:
        yield service


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_status_and_metrics_are_at_the_admin_address_only(service: LiveService, admin_port: int, path: str) -> None:
    assert loopback.get(f"http://127.0.0.1:{admin_port}{path}").status_code == 200
    forged = {name: value.format(port=admin_port) for name, value in FORGED.items()}
    answer = loopback.get(service.base_url + path, headers={"Authorization": f"Bearer {service.api_key}", **forged})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api/health/", "/api/ready/", "/api/openapi.json", "/api/asyncapi.json"])
def test_public_paths_are_at_both_addresses(service: LiveService, admin_port: int, path: str) -> None:
    for base in (service.base_url, f"http://127.0.0.1:{admin_port}"):
        assert loopback.get(base + path).status_code == 200


def test_the_status_lists_every_worker(service: LiveService, admin_port: int) -> None:
    pools = loopback.get(f"http://127.0.0.1:{admin_port}/api/pool/status/").json()
    assert len(pools["workers"]) == 2
