from __future__ import annotations

from typing import Any

import pytest

from config.settings import load
from web.access.status_access import GUARDED, StatusAccess
from web.refusal import HttpRefusal

PRODUCTION = {"APP_ENV": "production", "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7"}
ADMIN = {"FACE_ADMIN_BIND": "127.0.0.1:9100"}
PUBLIC_PORT, ADMIN_PORT = 8003, 9100


async def knows_good(scope: object, token: str) -> bool:
    return token == "good"


async def status_of(
    environment: dict[str, str], path: str, server: tuple[str, int | None] | None, authorization: str = ""
) -> int:
    headers = [
        (b"authorization", authorization.encode()),
        (b"host", b"127.0.0.1:9100"),
        (b"x-forwarded-port", b"9100"),
        (b"x-forwarded-host", b"127.0.0.1:9100"),
    ]
    scope: Any = {"type": "http", "path": path, "server": server, "headers": headers}
    try:
        await StatusAccess(load(environment), knows_good).check(scope)
    except HttpRefusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("path", sorted(GUARDED))
async def test_in_development_guarded_paths_are_public(path: str) -> None:
    assert await status_of({}, path, ("10.0.0.1", PUBLIC_PORT)) == 200


@pytest.mark.parametrize("path", sorted(GUARDED))
@pytest.mark.parametrize(
    ("authorization", "status"), [("", 401), ("Bearer bad", 401), ("Basic good", 401), ("Bearer good", 200)]
)
async def test_in_production_guarded_paths_need_a_key(path: str, authorization: str, status: int) -> None:
    assert await status_of(PRODUCTION, path, ("10.0.0.1", PUBLIC_PORT), authorization) == status


@pytest.mark.parametrize("path", sorted(GUARDED))
async def test_with_public_status_guarded_paths_are_public_in_production(path: str) -> None:
    assert await status_of({**PRODUCTION, "FACE_PUBLIC_STATUS": "1"}, path, ("10.0.0.1", PUBLIC_PORT)) == 200


@pytest.mark.parametrize("path", sorted(GUARDED))
@pytest.mark.parametrize("environment", [{}, PRODUCTION, {**PRODUCTION, "FACE_PUBLIC_STATUS": "1"}])
@pytest.mark.parametrize("server", [("127.0.0.1", PUBLIC_PORT), ("/run/face.sock", None), None])
async def test_with_an_admin_address_guarded_paths_are_there_only(
    path: str, environment: dict[str, str], server: tuple[str, int | None] | None
) -> None:
    environment = environment | ADMIN
    assert await status_of(environment, path, server, "Bearer good") == 404
    assert await status_of(environment, path, ("127.0.0.1", ADMIN_PORT)) == 200


@pytest.mark.parametrize("path", ["/api/health/", "/api/ready/", "/api/v1/sessions/", "/api/openapi.json", "/"])
async def test_every_other_path_is_public(path: str) -> None:
    assert await status_of({**PRODUCTION, **ADMIN}, path, ("10.0.0.1", PUBLIC_PORT)) == 200
