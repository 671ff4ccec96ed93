"""People and their templates over HTTP."""

from __future__ import annotations

import base64
import threading
import uuid
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from django.http.multipartparser import MultiPartParser

from gallery.models import Subject, Template
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.scopes import Scope
from tests.recognition.api.test_api import JSON, error_of
from tests.recognition.support import Backend, Faces, Message, connect, http_client, until_complete
from web.access.body_limit import SMALL_BYTES

SUBJECTS = "/api/v1/subjects/"
LONG = bytes(SMALL_BYTES)


async def upload(api: httpx.AsyncClient, subject_id: str, *pictures: bytes) -> httpx.Response:
    files = [("images", (f"{index}.jpg", picture, "image/jpeg")) for index, picture in enumerate(pictures)]
    return await api.post(f"{SUBJECTS}{subject_id}/templates/", files=files)


async def add(api: httpx.AsyncClient, subject_id: str, **metadata: Any) -> Message:
    response = await api.post(SUBJECTS, json={"subject_id": subject_id, "metadata": metadata})
    assert response.status_code == 201, response.text
    created: Message = response.json()
    return created


async def search(api: httpx.AsyncClient, picture: bytes) -> list[str]:
    response = await api.post("/api/v1/faces/search/", files={"image": picture})
    return [match["subject_id"] for match in response.json()["matches"]]


async def test_a_subject_is_made_read_changed_and_erased(api: httpx.AsyncClient) -> None:
    created = await add(api, "alice", department="ops")
    assert created.keys() == {"subject_id", "display_name", "metadata", "templates", "created_at"}
    assert (created["subject_id"], created["display_name"], created["templates"]) == ("alice", "", 0)
    assert (await api.get(f"{SUBJECTS}alice/")).json() == created
    changed = await api.patch(f"{SUBJECTS}alice/", json={"metadata": {"department": "lab"}})
    assert changed.json() == {**created, "metadata": {"department": "lab"}}
    assert (await api.delete(f"{SUBJECTS}alice/")).status_code == 204
    assert error_of(await api.get(f"{SUBJECTS}alice/")) == (404, "subject_not_found")


@pytest.mark.parametrize("subject_id", ["a", "A-1_b.c:d@e", "9" * 128])
async def test_an_id_may_be_what_the_contract_says(api: httpx.AsyncClient, subject_id: str) -> None:
    await add(api, subject_id)
    assert (await api.get(f"{SUBJECTS}{subject_id}/")).json()["subject_id"] == subject_id


@pytest.mark.parametrize("subject_id", ["", "a b", "a/b", "x" * 129, "ü", "a\n", ".", ".."])
async def test_an_id_may_be_nothing_else(api: httpx.AsyncClient, subject_id: str) -> None:
    assert error_of(await api.post(SUBJECTS, json={"subject_id": subject_id})) == (422, "invalid_subject_id")


@pytest.mark.parametrize("subject_id", [".", ".."])
async def test_what_an_older_version_called_by_dots_can_be_erased(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, subject_id: str
) -> None:
    await worker.database.run(partial(Subject.objects.create, tenant=backend.tenant, subject_id=subject_id))
    path = f"{SUBJECTS}{subject_id.replace('.', '%2E')}/"
    assert (await api.get(path)).json()["subject_id"] == subject_id
    assert (await api.delete(path)).status_code == 204
    assert await worker.database.run(Subject.across_tenants.count) == 0


async def test_a_name_is_set_shown_and_changed_apart_from_the_metadata(api: httpx.AsyncClient) -> None:
    body = {"subject_id": "alice", "display_name": "  Jose\u0301 王 ", "metadata": {"department": "ops"}}
    created = (await api.post(SUBJECTS, json=body)).json()
    assert created["display_name"] == "José 王"
    renamed = (await api.patch(f"{SUBJECTS}alice/", json={"display_name": "Joe"})).json()
    assert renamed == {**created, "display_name": "Joe"}
    moved = (await api.patch(f"{SUBJECTS}alice/", json={"metadata": {}})).json()
    assert moved == {**renamed, "metadata": {}}
    unnamed = (await api.patch(f"{SUBJECTS}alice/", json={"display_name": ""})).json()
    assert unnamed["display_name"] == ""
    assert (await api.get(SUBJECTS)).json()["items"] == [unnamed]


@pytest.mark.parametrize("name", ["a\nb", "a\u0000", "a\u202eb", "x" * 201, 7])
async def test_what_is_no_name_is_refused(api: httpx.AsyncClient, name: Any) -> None:
    await add(api, "alice")
    for method, path, body in (
        ("POST", SUBJECTS, {"subject_id": "bob"}),
        ("PATCH", f"{SUBJECTS}alice/", {}),
        ("POST", "/api/v1/sessions/", {"kind": "enrollment", "subject_id": "bob"}),
    ):
        refused = await api.request(method, path, json={**body, "display_name": name})
        assert error_of(refused) == (422, "validation_error")
        assert "display_name" in refused.json()["error"]["message"]


async def test_a_name_may_have_200_characters_of_any_script(api: httpx.AsyncClient) -> None:
    name = "😀" * 200
    created = await api.post(SUBJECTS, json={"subject_id": "alice", "display_name": name})
    assert created.json()["display_name"] == name


async def test_a_subject_cannot_be_made_twice(api: httpx.AsyncClient) -> None:
    await add(api, "alice", first=True)
    assert error_of(await api.post(SUBJECTS, json={"subject_id": "alice"})) == (409, "subject_exists")
    assert (await api.get(f"{SUBJECTS}alice/")).json()["metadata"] == {"first": True}


@pytest.mark.parametrize(
    "request_",
    [
        ("POST", SUBJECTS, b"{}"),
        ("POST", SUBJECTS, b'{"subject_id":7}'),
        ("POST", SUBJECTS, b'{"subject_id":"bob","extra":1}'),
        ("PATCH", f"{SUBJECTS}alice/", b"{}"),
        ("PATCH", f"{SUBJECTS}alice/", b'{"metadata":NaN}'),
        ("PATCH", f"{SUBJECTS}alice/", b'{"metadata":{"a":NaN}}'),
        ("PATCH", f"{SUBJECTS}alice/", b'{"metadata":{},"subject_id":"bob"}'),
    ],
)
async def test_json_that_is_not_asked_for_is_refused(api: httpx.AsyncClient, request_: tuple[str, str, bytes]) -> None:
    await add(api, "alice")
    method, path, body = request_
    assert error_of(await api.request(method, path, content=body, headers=JSON)) == (422, "validation_error")


async def test_a_list_comes_in_pages(api: httpx.AsyncClient) -> None:
    names = [f"person-{number}" for number in range(5)]
    for name in names:
        await add(api, name)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        parameters = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        found = (await api.get(SUBJECTS, params=parameters)).json()
        assert found.keys() == {"items", "next_cursor"}
        seen += [item["subject_id"] for item in found["items"]]
        cursor, pages = found["next_cursor"], pages + 1
    assert seen == names
    assert pages == 3


async def test_a_page_that_is_just_full_is_the_last(api: httpx.AsyncClient) -> None:
    await add(api, "alice")
    await add(api, "bob")
    found = (await api.get(SUBJECTS, params={"limit": 2})).json()
    assert (len(found["items"]), found["next_cursor"]) == (2, None)


async def test_who_is_erased_between_two_pages_costs_nobody_else(api: httpx.AsyncClient) -> None:
    for name in ("alice", "bob", "carol"):
        await add(api, name)
    first = (await api.get(SUBJECTS, params={"limit": 2})).json()
    await api.delete(f"{SUBJECTS}bob/")
    second = (await api.get(SUBJECTS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["subject_id"] for item in second["items"]] == ["carol"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "many"])
async def test_a_limit_out_of_bounds_is_refused(api: httpx.AsyncClient, limit: str) -> None:
    assert error_of(await api.get(SUBJECTS, params={"limit": limit})) == (422, "validation_error")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("cursor", ["nonsense", "ä", "=", encoded("x"), encoded("1"), encoded("9" * 5000)])
async def test_a_cursor_of_ones_own_making_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    assert error_of(await api.get(SUBJECTS, params={"cursor": cursor})) == (422, "validation_error")


async def test_a_cursor_behind_the_end_is_an_empty_page(api: httpx.AsyncClient) -> None:
    for name in ("alice", "bob"):
        await add(api, name)
    cursor = (await api.get(SUBJECTS, params={"limit": 1})).json()["next_cursor"]
    assert (await api.delete(f"{SUBJECTS}bob/")).status_code == 204
    found = await api.get(SUBJECTS, params={"cursor": cursor})
    assert found.json() == {"items": [], "next_cursor": None}


async def test_good_pictures_are_accepted_and_others_rejected_with_a_reason(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    pictures = [faces.astronaut, faces.nobody, b"broken", faces.both, faces.hopper, faces.astronaut_again]
    response = await upload(api, "alice", *pictures)
    assert response.status_code == 201
    answer = response.json()
    assert [(image["index"], image["filename"]) for image in answer["accepted"]] == [(0, "0.jpg"), (5, "5.jpg")]
    assert answer["rejected"] == [
        {"index": 1, "filename": "1.jpg", "reason": "no_face"},
        {"index": 2, "filename": "2.jpg", "reason": "invalid_image"},
        {"index": 3, "filename": "3.jpg", "reason": "multiple_faces"},
        {"index": 4, "filename": "4.jpg", "reason": "face_changed"},
    ]
    templates = (await api.get(f"{SUBJECTS}alice/templates/")).json()
    assert [item["id"] for item in templates["items"]] == [image["id"] for image in answer["accepted"]]
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 2


async def test_without_a_single_good_picture_nothing_is_made(
    api: httpx.AsyncClient, worker: Worker, faces: Faces
) -> None:
    response = await upload(api, "alice", faces.nobody, b"broken")
    assert error_of(response) == (422, "no_usable_face")
    reasons = [image["reason"] for image in response.json()["error"]["details"]["rejected"]]
    assert reasons == ["no_face", "invalid_image"]
    assert await worker.database.run(Subject.across_tenants.count) == 0


@pytest.mark.parametrize(
    ("subject_id", "number", "expected"),
    [
        ("a b", 1, (422, "invalid_subject_id")),
        ("a", 0, (422, "validation_error")),
        ("a", 11, (422, "validation_error")),
    ],
)
async def test_an_upload_within_bounds_is_asked_for(
    api: httpx.AsyncClient, faces: Faces, subject_id: str, number: int, expected: tuple[int, str]
) -> None:
    assert error_of(await upload(api, subject_id, *[faces.nobody] * number)) == expected


async def test_one_face_is_not_enrolled_under_two_subjects(api: httpx.AsyncClient, faces: Faces) -> None:
    await upload(api, "alice", faces.astronaut)
    assert error_of(await upload(api, "bob", faces.astronaut_again)) == (409, "duplicate_face")
    assert error_of(await api.get(f"{SUBJECTS}bob/")) == (404, "subject_not_found")


async def test_a_subject_is_not_given_another_face(api: httpx.AsyncClient, faces: Faces) -> None:
    await upload(api, "alice", faces.astronaut)
    assert error_of(await upload(api, "alice", faces.hopper)) == (409, "different_face")
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 1


async def test_a_subject_may_be_given_more_of_the_same_face(api: httpx.AsyncClient, faces: Faces) -> None:
    await upload(api, "alice", faces.astronaut)
    assert (await upload(api, "alice", faces.astronaut_again)).status_code == 201
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 2


async def test_templates_come_in_pages_and_without_the_face(api: httpx.AsyncClient, faces: Faces) -> None:
    await upload(api, "alice", faces.astronaut, faces.astronaut_again)
    first = (await api.get(f"{SUBJECTS}alice/templates/", params={"limit": 1})).json()
    second = (await api.get(f"{SUBJECTS}alice/templates/", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert second["next_cursor"] is None
    assert first["items"][0].keys() == {"id", "quality", "origin", "created_at"}


async def test_who_is_erased_is_not_found_from_then_on(api: httpx.AsyncClient, worker: Worker, faces: Faces) -> None:
    await upload(api, "alice", faces.astronaut)
    await upload(api, "grace", faces.hopper)
    assert await search(api, faces.astronaut) == ["alice"]
    await api.delete(f"{SUBJECTS}alice/")
    assert await search(api, faces.astronaut) == []
    assert await search(api, faces.hopper) == ["grace"]
    assert await worker.database.run(Template.across_tenants.count) == 1
    assert (await upload(api, "bob", faces.astronaut)).status_code == 201


async def test_a_template_that_is_deleted_is_not_found_from_then_on(api: httpx.AsyncClient, faces: Faces) -> None:
    (template,) = (await upload(api, "alice", faces.astronaut)).json()["accepted"]
    path = f"{SUBJECTS}alice/templates/{template['id']}/"
    assert (await api.delete(path)).status_code == 204
    assert await search(api, faces.astronaut) == []
    assert error_of(await api.delete(path)) == (404, "template_not_found")
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 0


async def test_a_template_is_deleted_of_its_own_subject_only(api: httpx.AsyncClient, faces: Faces) -> None:
    (template,) = (await upload(api, "alice", faces.astronaut)).json()["accepted"]
    await add(api, "bob")
    wrong = await api.delete(f"{SUBJECTS}bob/templates/{template['id']}/")
    assert error_of(wrong) == (404, "template_not_found")
    assert await search(api, faces.astronaut) == ["alice"]


async def test_a_tenant_sees_and_touches_only_its_own_people(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, faces: Faces
) -> None:
    (template,) = (await upload(api, "alice", faces.astronaut)).json()["accepted"]
    assert (await rival_api.get(SUBJECTS)).json()["items"] == []
    for method, path in (
        ("GET", f"{SUBJECTS}alice/"),
        ("PATCH", f"{SUBJECTS}alice/"),
        ("DELETE", f"{SUBJECTS}alice/"),
        ("GET", f"{SUBJECTS}alice/templates/"),
        ("DELETE", f"{SUBJECTS}alice/templates/{template['id']}/"),
    ):
        body: Message | None = {"metadata": {}} if method == "PATCH" else None
        assert error_of(await rival_api.request(method, path, json=body)) == (404, "subject_not_found")
    await add(rival_api, "alice", theirs=True)
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 1
    assert await search(api, faces.astronaut) == ["alice"]


async def test_an_id_that_nobody_has_is_told_alike_however_it_looks(api: httpx.AsyncClient) -> None:
    for subject_id in ("nobody", "%00", "a%20b", "x" * 500, str(uuid.uuid4())):
        assert error_of(await api.get(f"{SUBJECTS}{subject_id}/")) == (404, "subject_not_found")


async def test_who_has_changed_is_enrolled_anew_by_one_request(
    api: httpx.AsyncClient, worker: Worker, faces: Faces
) -> None:
    await upload(api, "alice", faces.astronaut, faces.astronaut_again)
    path, files = f"{SUBJECTS}alice/templates/", {"images": faces.hopper}
    assert error_of(await api.post(path, files=files, params={"replace": True})) == (409, "different_face")
    assert error_of(await api.post(path, files=files, params={"allow_different_face": True}))[0] == 422
    assert await search(api, faces.astronaut) == ["alice"]
    allowed = await api.post(path, files=files, params={"replace": True, "allow_different_face": True})
    assert allowed.status_code == 201
    assert (await search(api, faces.astronaut), await search(api, faces.hopper)) == ([], ["alice"])
    assert [one["origin"] for one in (await api.get(path)).json()["items"]] == ["unchecked"]


async def test_a_session_renews_only_for_a_key_that_changes_subjects(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, faces: Faces
) -> None:
    await upload(api, "alice", faces.astronaut)
    body = {"kind": "enrollment", "subject_id": "alice", "liveness": "none", "target_samples": 1, "replace": True}
    key = await worker.database.run(issue_key, backend.tenant, "kiosk", [Scope.SESSIONS])
    async with http_client(key.text) as kiosk:
        assert error_of(await kiosk.post("/api/v1/sessions/", json=body)) == (403, "scope_missing")
    created = (await api.post("/api/v1/sessions/", json={**body, "allow_different_face": True})).json()
    async with connect(created["token"]) as socket:
        await socket.greeted()
        _, complete = await until_complete(socket, faces.hopper)
    assert complete["success"]
    assert (await search(api, faces.astronaut), await search(api, faces.hopper)) == ([], ["alice"])


async def test_the_other_subject_of_a_duplicate_is_named_only_to_who_may_read_subjects(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, faces: Faces
) -> None:
    await upload(api, "alice", faces.astronaut)
    refused = (await upload(api, "bob", faces.astronaut)).json()
    assert refused["error"]["details"]["subject_id"] == "alice"
    assert "alice" not in refused["error"]["message"]
    body = {"kind": "enrollment", "subject_id": "bob", "liveness": "none", "target_samples": 1}
    created = (await api.post("/api/v1/sessions/", json=body)).json()
    async with connect(created["token"]) as socket:
        await socket.greeted()
        _, complete = await until_complete(socket, faces.astronaut)
    assert complete["reason"] == "duplicate_face"
    claims = jwt.decode(complete["decision_token"], options={"verify_signature": False})
    assert "alice" not in f"{complete} {claims}"
    path = f"/api/v1/sessions/{created['id']}/"
    for scopes, told in (([Scope.SESSIONS], None), ([Scope.READ], "alice"), ([Scope.ADMIN], "alice")):
        key = await worker.database.run(issue_key, backend.tenant, "reader", scopes)
        async with http_client(key.text) as reader:
            assert (await reader.get(path)).json()["decision"]["duplicate_of"] == told
    await api.delete(f"{SUBJECTS}alice/")
    assert (await api.get(path)).json()["decision"]["duplicate_of"] is None


async def test_a_long_form_is_parsed_beside_the_event_loop(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsing: list[threading.Thread] = []

    class Noting(MultiPartParser):
        def parse(self) -> Any:
            parsing.append(threading.current_thread())
            return super().parse()

    monkeypatch.setattr("django.http.request.MultiPartParser", Noting)
    refused = await upload(api, "alice", LONG)
    assert error_of(refused) == (422, "no_usable_face")
    assert len(parsing) == 1
    assert parsing[0] is not threading.current_thread()


async def test_a_long_form_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=" + 300 * "x"}
    assert error_of(await api.post(f"{SUBJECTS}alice/templates/", content=LONG + LONG, headers=kind)) == (
        400,
        "bad_request",
    )
