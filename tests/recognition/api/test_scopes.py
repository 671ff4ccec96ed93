"""Every route of the API: its scope, and that no tenant reaches another's objects."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from core.types import Embedding
from gallery.models import Subject, Template
from gallery.people import Sample, enroll
from recognition.api import make_api
from recognition.api.auth import BackendAuth
from recognition.models import Session
from recognition.sessions import lifecycle
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.models import ApiKey
from tenants.scopes import Scope
from tests.recognition.api.test_api import error_of
from tests.recognition.support import ALICE, Backend, Faces, http_client
from vocabulary.sessions import SessionStatus


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
WAYS_TO_A_THING = [
    route
    for route in ROUTES
    # This route creates the subject when the tenant has none of this name.
    if "{" in route.path and str(route) != "POST /api/v1/subjects/{subject_id}/templates/"
]
READ_ONLY = {
    "POST /api/v1/auth/token/",
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


@dataclass(frozen=True)
class Things:
    """One object of each kind, of one tenant."""

    session_id: str
    subject_id: str
    template_id: str
    key_id: str

    def exist(self) -> bool:
        return (
            Session.objects.get(pk=self.session_id).status == SessionStatus.CREATED
            and Subject.objects.filter(subject_id=self.subject_id, metadata={}).exists()
            and Template.objects.filter(public_id=self.template_id).exists()
            and ApiKey.objects.filter(public_id=self.key_id, revoked_at=None, successor=None).exists()
        )


@pytest.fixture
async def of_rival(worker: Worker, rival: Backend, hopper_embedding: Embedding) -> Things:
    def make() -> Things:
        tenant = rival.tenant
        session = lifecycle.create(worker.deciding, tenant, ALICE, None).session
        samples = [Sample(hopper_embedding, 1.0)]
        (template,) = enroll(tenant, "grace", samples, worker.deciding.gallery, worker.deciding.rules)
        key = issue_key(tenant, "spare", [Scope.READ]).row
        return Things(str(session.pk), "grace", str(template.public_id), str(key.public_id))

    return await worker.database.run(make)


@pytest.mark.parametrize("route", WAYS_TO_A_THING, ids=str)
async def test_another_tenants_things_are_not_there(
    api: httpx.AsyncClient, worker: Worker, of_rival: Things, faces: Faces, route: Route
) -> None:
    body: dict[str, Any] = {}
    if route.path.endswith("/frames/"):
        body = {"files": {"image": faces.hopper}}
    elif route.method == "PATCH":
        body = {"json": {"metadata": {"mine": True}}}
    url = route.url(**vars(of_rival))
    response = await api.request(route.method, url, **body)
    assert response.status_code == 404, response.text
    assert error_of(response)[1].endswith("_not_found")
    assert await worker.database.run(of_rival.exist)


@pytest.mark.parametrize("route", [route for route in WAYS_TO_A_THING if route.method == "GET"], ids=str)
async def test_their_owner_finds_them(rival_api: httpx.AsyncClient, of_rival: Things, route: Route) -> None:
    assert (await rival_api.get(route.url(**vars(of_rival)))).status_code == 200
