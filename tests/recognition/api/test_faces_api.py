"""Endpoints on single pictures, with real ones."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.conftest import data_file, needs_shared_data
from tests.recognition.api.test_api import JPEG, error_of
from tests.recognition.conftest import Configure, UseMeshes
from tests.recognition.support import Backend, Faces, Gate, GatedMesh, became

FACES = "/api/v1/faces/"


async def ask(api: httpx.AsyncClient, question: str, *pictures: bytes, **fields: str) -> httpx.Response:
    name = "images" if question == "compare" else "image"
    files = [(name, (f"{index}.jpg", picture, "image/jpeg")) for index, picture in enumerate(pictures)]
    return await api.post(f"{FACES}{question}/", files=files, data=fields)


async def enroll(api: httpx.AsyncClient, subject_id: str, picture: bytes) -> None:
    response = await api.post(f"/api/v1/subjects/{subject_id}/templates/", files={"images": picture})
    assert response.status_code == 201, response.text


async def test_a_face_is_found_where_it_is(api: httpx.AsyncClient, faces: Faces) -> None:
    answer = (await ask(api, "detect", faces.astronaut)).json()
    assert answer.keys() == {"faces", "faces_found", "box"}
    (face,) = answer["faces"]
    assert face["quality"]["issues"] == []
    assert 0 < face["quality"]["score"] <= 1
    box = face["box"]
    assert box["x"] < 0.44 < box["x"] + box["width"]
    assert box["y"] < 0.25 < box["y"] + box["height"]


async def test_every_face_is_found_the_largest_first(api: httpx.AsyncClient, faces: Faces) -> None:
    first, second = (await ask(api, "detect", faces.both)).json()["faces"]
    assert first["box"]["width"] > second["box"]["width"]
    assert first["box"]["x"] > second["box"]["x"]


async def test_nobody_is_an_empty_list_of_faces(api: httpx.AsyncClient, faces: Faces) -> None:
    assert (await ask(api, "detect", faces.nobody)).json() == {"faces": [], "faces_found": 0, "box": None}


async def test_a_picture_may_be_the_body_itself(api: httpx.AsyncClient, faces: Faces) -> None:
    response = await api.post(f"{FACES}detect/", content=faces.astronaut, headers=JPEG)
    assert response.json() == (await ask(api, "detect", faces.astronaut)).json()


async def test_the_kind_of_a_picture_is_told_by_its_content(api: httpx.AsyncClient, faces: Faces) -> None:
    response = await api.post(f"{FACES}detect/", content=faces.astronaut, headers={"content-type": "image/png"})
    assert len(response.json()["faces"]) == 1


async def test_a_living_face_looks_live(api: httpx.AsyncClient, faces: Faces) -> None:
    answer = (await ask(api, "liveness", faces.astronaut)).json()
    assert (answer["live"], answer["reasons"]) == (True, [])
    assert answer["score"] > 0.5


@needs_shared_data
async def test_a_presented_photo_does_not_look_live(api: httpx.AsyncClient) -> None:
    real, photo = [data_file(f"spoof/image_{name}.jpg").read_bytes() for name in ("T1", "F1")]
    assert (await ask(api, "liveness", real)).json()["live"] is True
    answer = (await ask(api, "liveness", photo)).json()
    assert (answer["live"], answer["reasons"]) == (False, ["spoof_suspected"])
    assert answer["score"] < 0.1


@pytest.mark.parametrize(("name", "reason"), [("nobody", "no_face"), ("both", "multiple_faces")])
async def test_without_a_single_face_nothing_is_live(
    api: httpx.AsyncClient, faces: Faces, name: str, reason: str
) -> None:
    answer = (await ask(api, "liveness", getattr(faces, name))).json()
    assert (answer["live"], answer["reasons"]) == (False, [reason])


async def test_two_pictures_of_one_person_match(api: httpx.AsyncClient, faces: Faces) -> None:
    answer = (await ask(api, "compare", faces.astronaut, faces.astronaut_again)).json()
    assert answer["match"] is True
    assert answer["similarity"] > 0.9 > answer["threshold"]


async def test_pictures_of_two_people_do_not_match(api: httpx.AsyncClient, faces: Faces) -> None:
    answer = (await ask(api, "compare", faces.astronaut, faces.hopper)).json()
    assert answer["match"] is False
    assert answer["similarity"] < answer["threshold"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("name", "code"), [("nobody", "no_face"), ("both", "multiple_faces")])
async def test_a_comparison_needs_a_single_face_on_either_side(
    api: httpx.AsyncClient, faces: Faces, order: tuple[int, int], name: str, code: str
) -> None:
    pictures = [faces.astronaut, getattr(faces, name)]
    response = await ask(api, "compare", *[pictures[index] for index in order])
    assert error_of(response) == (422, code)


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_a_comparison_needs_two_pictures(api: httpx.AsyncClient, faces: Faces, number: int) -> None:
    assert error_of(await ask(api, "compare", *[faces.astronaut] * number)) == (422, "validation_error")


async def test_a_subject_is_verified_and_another_person_is_not(api: httpx.AsyncClient, faces: Faces) -> None:
    await enroll(api, "alice", faces.astronaut)
    mine = (await ask(api, "verify", faces.astronaut_again, subject_id="alice")).json()
    other = (await ask(api, "verify", faces.hopper, subject_id="alice")).json()
    assert (mine["match"], other["match"]) == (True, False)
    assert other["similarity"] < other["threshold"] < mine["similarity"]


async def test_a_verification_is_about_the_claimed_subject_only(api: httpx.AsyncClient, faces: Faces) -> None:
    await enroll(api, "alice", faces.astronaut)
    await enroll(api, "grace", faces.hopper)
    assert (await ask(api, "verify", faces.hopper, subject_id="alice")).json()["match"] is False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"subject_id": "nobody"}, (404, "subject_not_found")),
        ({"subject_id": "empty"}, (409, "no_template")),
        ({"subject_id": "a b"}, (422, "invalid_subject_id")),
        ({}, (422, "validation_error")),
    ],
)
async def test_a_verification_needs_a_subject_with_a_template(
    api: httpx.AsyncClient, faces: Faces, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    await api.post("/api/v1/subjects/", json={"subject_id": "empty"})
    assert error_of(await ask(api, "verify", faces.astronaut, **fields)) == expected


async def test_a_search_finds_the_person_and_nobody_else(api: httpx.AsyncClient, faces: Faces) -> None:
    await enroll(api, "alice", faces.astronaut)
    await enroll(api, "grace", faces.hopper)
    answer = (await ask(api, "search", faces.astronaut_again)).json()
    assert [match["subject_id"] for match in answer["matches"]] == ["alice"]
    assert answer["matches"][0]["similarity"] >= answer["threshold"]


async def test_a_stranger_is_an_empty_list(api: httpx.AsyncClient, faces: Faces) -> None:
    assert (await ask(api, "search", faces.hopper)).json()["matches"] == []
    await enroll(api, "alice", faces.astronaut)
    assert (await ask(api, "search", faces.hopper)).json()["matches"] == []


async def test_a_search_is_limited(api: httpx.AsyncClient, faces: Faces, configure: Configure) -> None:
    configure(duplicate_check=False)
    for name in ("alice", "alicia", "alison"):
        await enroll(api, name, faces.astronaut)
    assert len((await ask(api, "search", faces.astronaut)).json()["matches"]) == 3
    assert len((await ask(api, "search", faces.astronaut, limit="2")).json()["matches"]) == 2


@pytest.mark.parametrize("limit", ["0", "101", "many"])
async def test_a_limit_out_of_bounds_is_refused(api: httpx.AsyncClient, faces: Faces, limit: str) -> None:
    assert error_of(await ask(api, "search", faces.astronaut, limit=limit)) == (422, "validation_error")


async def test_nobody_finds_the_people_of_another_tenant(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, faces: Faces
) -> None:
    await enroll(api, "alice", faces.astronaut)
    assert (await ask(rival_api, "search", faces.astronaut)).json()["matches"] == []
    verify = await ask(rival_api, "verify", faces.astronaut, subject_id="alice")
    assert error_of(verify) == (404, "subject_not_found")
    await enroll(rival_api, "bob", faces.astronaut)
    assert (await ask(rival_api, "search", faces.astronaut)).json()["matches"][0]["subject_id"] == "bob"


@pytest.mark.parametrize("question", ["detect", "liveness", "verify", "search"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (422, "invalid_image")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "unsupported_format")),
        (b"GIF89a" + bytes(40), (415, "unsupported_format")),
    ],
    ids=["empty", "svg", "gif"],
)
async def test_a_bad_picture_is_refused_by_every_question(
    api: httpx.AsyncClient, faces: Faces, question: str, data: bytes, expected: tuple[int, str]
) -> None:
    fields = {"subject_id": "alice"} if question == "verify" else {}
    await api.post("/api/v1/subjects/", json={"subject_id": "alice"})
    assert error_of(await ask(api, question, data, **fields)) == expected


async def test_a_picture_over_the_limits_is_too_large(
    api: httpx.AsyncClient, faces: Faces, configure: Configure
) -> None:
    configure(max_image_pixels=512 * 512 - 1)
    assert error_of(await ask(api, "detect", faces.astronaut)) == (413, "image_too_large")
    configure(max_image_bytes=len(faces.astronaut) - 1)
    assert error_of(await ask(api, "detect", faces.astronaut)) == (413, "image_too_large")


@pytest.mark.parametrize("question", ["detect", "liveness", "compare", "verify", "search"])
async def test_a_question_needs_a_picture(api: httpx.AsyncClient, question: str) -> None:
    response = await api.post(f"{FACES}{question}/", files={"subject_id": (None, "alice")})
    assert error_of(response)[0] in (404, 422)
    response = await api.post(f"{FACES}{question}/", data={"subject_id": "alice"})
    assert error_of(response) == (415, "unsupported_media_type")


async def test_many_questions_at_once_share_the_pool(api: httpx.AsyncClient, faces: Faces) -> None:
    answers = await asyncio.gather(*[ask(api, "detect", faces.astronaut) for _ in range(8)])
    told: list[Any] = [answer.json() for answer in answers]
    assert all(one == told[0] for one in told)


async def test_many_pictures_of_a_tenant_do_not_hold_up_who_stands_before_its_camera(
    api: httpx.AsyncClient, backend: Backend, worker: Worker, faces: Faces, use_meshes: UseMeshes, gate: Gate
) -> None:
    held = use_meshes(lambda: GatedMesh(worker.engine, gate), size=2, timeout_s=PATIENCE_S)
    served: list[str] = []

    async def post() -> None:
        assert (await ask(api, "detect", faces.astronaut)).status_code == 200
        served.append("picture")

    async def analyse() -> None:
        for _ in range(3):
            await held.executor.run(lambda: held.engine.analyse(faces.astronaut, held.limits), owner=owner)
            served.append("frame")

    def in_line() -> int:
        status = held.executor.statistics()
        return status.in_use + status.waiting

    owner = backend.tenant.pk
    asked = [asyncio.create_task(post()) for _ in range(24)]
    await became(lambda: in_line() == 24, "all pictures wait")
    asked.append(asyncio.create_task(analyse()))
    await became(lambda: in_line() == 25, "the frame waits")
    gate.open()
    await asyncio.gather(*asked)
    assert served.index("frame") < 8
    assert served[:20].count("frame") == 3
