"""A picture that is too costly to decode is refused at every entry, without effect on other sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from PIL import Image

from gallery.models import Renewal
from recognition.sessions import lifecycle
from recognition.worker import Worker
from testkit.clips import astronaut
from testkit.hostile_pictures import hostile
from tests.recognition.support import ALICE, Backend, Faces, Message, asked, connect, in_database, text_frame, token

HOSTILE = hostile(Image.fromarray(astronaut()).resize((320, 240)))
BYSTANDER = replace(asked("enrollment", "bob", target_samples=10_000), renewal=Renewal.REPLACE)
"""A session without an end: a renewal may have any number of samples."""


@pytest.fixture(scope="module", params=HOSTILE)
def data(request: pytest.FixtureRequest) -> bytes:
    picture: bytes = HOSTILE[request.param]()
    return picture


@pytest.fixture(autouse=True)
async def bystander(worker: Worker, backend: Backend, faces: Faces, data: bytes) -> AsyncIterator[None]:
    """Stream another session meanwhile: each of its frames is answered, in order, with its face."""
    answers: list[Message] = []
    over = asyncio.Event()

    async def stream() -> None:
        async with connect(await token(worker, backend, BYSTANDER)) as socket:
            await socket.greeted()
            while not over.is_set() or len(answers) < 3:
                answers.append(await socket.ask(faces.astronaut))

    streaming = asyncio.create_task(stream())
    yield
    over.set()
    await streaming
    assert {answer["type"] for answer in answers} == {"frame_processed"}
    assert [answer["seq"] for answer in answers] == list(range(1, len(answers) + 1))
    assert all(answer["face"] is not None and answer["dropped"] == 0 for answer in answers)


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_an_upload_is_refused(api: httpx.AsyncClient, data: bytes) -> None:
    files = {"image": ("a", data, "image/jpeg")}
    assert told(await api.post("/api/v1/faces/detect/", files=files)) == (422, "image_too_complex")


async def test_a_frame_over_rest_is_refused_and_the_session_goes_on(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, faces: Faces, data: bytes
) -> None:
    session = (await in_database(worker, lifecycle.create, worker.deciding, backend.tenant, ALICE, None)).session
    frames = f"/api/v1/sessions/{session.id}/frames/"
    image = {"Content-Type": "image/jpeg"}
    assert told(await api.post(frames, content=data, headers=image)) == (422, "image_too_complex")
    answer = (await api.post(frames, content=faces.astronaut, headers=image)).json()
    assert (answer["type"], answer["seq"], answer["samples"]["accepted"]) == ("frame_processed", 1, 1)


async def test_a_frame_on_the_socket_is_refused_and_the_session_goes_on(
    worker: Worker, backend: Backend, faces: Faces, data: bytes
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        error = await socket.ask(data)
        assert (error["type"], error["code"], error["retryable"]) == ("error", "image_too_complex", True)
        answer = await socket.ask(faces.astronaut)
        assert (answer["type"], answer["seq"], answer["samples"]["accepted"]) == ("frame_processed", 2, 1)


async def test_a_frame_in_text_is_refused_likewise(worker: Worker, backend: Backend, data: bytes) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.say("frame", **text_frame(data, seq=7))
        error = await socket.receive()
    assert (error["type"], error["code"], error["seq"]) == ("error", "image_too_complex", 7)


async def test_an_enrolment_from_images_names_it_among_the_rejected(
    api: httpx.AsyncClient, faces: Faces, data: bytes
) -> None:
    files = [("images", ("a.jpg", picture, "image/jpeg")) for picture in (data, faces.astronaut)]
    answer = (await api.post("/api/v1/subjects/carol/templates/", files=files)).json()
    assert [(image["index"], image["reason"]) for image in answer["rejected"]] == [(0, "image_too_complex")]
    assert [image["index"] for image in answer["accepted"]] == [1]
