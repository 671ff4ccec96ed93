"""Keys changed by command while two workers serve: nobody restarts, and every worker knows at once."""

from __future__ import annotations

import json
from typing import Any

from testkit import loopback
from testkit.service import LiveService
from tests.processes import run

OFTEN = 24
"""New connections: each worker gets some of them."""


def manage(service: LiveService, *arguments: str) -> Any:
    done = run("manage.py", *arguments, "--json", FACE_DATA_DIR=str(service.data_dir))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def statuses(service: LiveService, credential: str) -> set[int]:
    headers = {"Authorization": f"Bearer {credential}"}
    url = f"{service.base_url}/api/v1/subjects/"
    return {loopback.get(url, headers=headers, timeout=10).status_code for _ in range(OFTEN)}


def access_token(service: LiveService, key: str) -> str:
    response = loopback.post(f"{service.base_url}/api/v1/auth/token/", headers={"Authorization": f"Bearer {key}"})
    token: str = response.json()["access_token"]
    return token


def published(service: LiveService) -> set[tuple[str, ...]]:
    answers = [loopback.get(f"{service.base_url}/.well-known/jwks.json", timeout=10).json() for _ in range(OFTEN)]
    return {tuple(key["kid"] for key in answer["keys"]) for answer in answers}


def test_a_key_that_is_revoked_by_command_opens_nothing_in_any_worker(live_service: LiveService) -> None:
    issued = manage(live_service, "keys", "issue", "--tenant", "demo", "--scopes", "subjects")
    token = access_token(live_service, issued["api_key"])
    assert statuses(live_service, issued["api_key"]) == statuses(live_service, token) == {200}
    manage(live_service, "keys", "revoke", issued["id"], "--tenant", "demo")
    assert statuses(live_service, issued["api_key"]) == statuses(live_service, token) == {401}


def test_every_worker_signs_with_a_new_key_and_knows_the_old_one(live_service: LiveService) -> None:
    token = access_token(live_service, live_service.api_key)
    ((before, *_),) = published(live_service)
    told = manage(live_service, "rotate_signing_key")
    assert published(live_service) == {tuple(told["published"])}
    assert told["published"][:2] == [told["kid"], before]
    assert statuses(live_service, token) == {200}
    assert statuses(live_service, access_token(live_service, live_service.api_key)) == {200}


def test_a_tenant_that_is_deleted_by_command_is_known_to_no_worker(live_service: LiveService) -> None:
    created = manage(live_service, "create_tenant", "short-lived")
    assert statuses(live_service, created["api_key"]) == {200}
    assert manage(live_service, "tenants", "delete", "short-lived", "--yes")["deleted"]["keys"] == 1
    assert statuses(live_service, created["api_key"]) == {401}
