"""Every route of the API and its scope."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from recognition.api import make_api
from recognition.api.auth import BackendAuth
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.scopes import Scope
from tests.recognition.api.test_api import error_of
from tests.recognition.support import Backend, http_client


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    auth: tuple[object, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> frozenset[Scope]:
        (auth,) = self.auth
        assert isinstance(auth, BackendAuth), f"{self} is open to anybody"
        return auth.scopes

    def url(self, **values: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: values.get(found[1], str(uuid.UUID(int=0))), self.path)


def all_routes() -> Iterator[Route]:
    for router in make_api()._get_bound_routers():
        for path, view in router.path_operations.items():
            for operation in view.operations:
                full_path = re.sub(r"{\w+:", "{", f"/api{router.prefix}{path}")
                for method in operation.methods:
                    yield Route(method, full_path, tuple(operation.auth_callbacks))


ROUTES = list(all_routes())
READ_ONLY = {
    "POST /api/v1/auth/token/",
    "GET /api/v1/jobs/{job_id}/report/",
    "GET /api/v1/jobs/",
    "GET /api/v1/jobs/{job_id}/",
    "GET /api/v1/outcomes/",
    "GET /api/v1/outcomes/{day}/",
    "GET /api/v1/sessions/{session_id}/",
    "GET /api/v1/subjects/",
    "GET /api/v1/subjects/{subject_id}/",
    "GET /api/v1/subjects/{subject_id}/export/",
    "GET /api/v1/subjects/{subject_id}/lock/",
    "GET /api/v1/subjects/{subject_id}/templates/",
}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_route_declares_its_scopes(route: Route) -> None:
    assert route.scopes


def test_a_key_for_reading_changes_nothing_and_sees_no_face() -> None:
    assert {str(route) for route in ROUTES if Scope.READ in route.scopes} == READ_ONLY


def test_only_admin_reaches_the_keys() -> None:
    of_keys = {route.scopes for route in ROUTES if route.path.startswith("/api/v1/keys/")}
    assert of_keys == {frozenset({Scope.ADMIN})}


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_key_without_the_scope_is_refused_and_one_with_it_is_not(
    worker: Worker, backend: Backend, route: Route
) -> None:
    others = [scope for scope in Scope if scope not in route.scopes and scope is not Scope.ADMIN]
    if others:
        refused = await worker.database.run(issue_key, backend.tenant, "others", others)
        async with http_client(refused.text) as client:
            assert error_of(await client.request(route.method, route.url())) == (403, "scope_missing")
    for scope in {*route.scopes, Scope.ADMIN}:
        admitted = await worker.database.run(issue_key, backend.tenant, "admitted", [scope])
        async with http_client(admitted.text) as client:
            response = await client.request(route.method, route.url())
            assert response.status_code not in (401, 403), response.text
