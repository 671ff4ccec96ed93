"""One face of several is used when it is plainly meant; the answer says which, and how many there were."""

from __future__ import annotations

from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from core.types import RgbImage
from testkit.clips import astronaut, encode_jpeg, grace_hopper
from tests.recognition.support import Faces

FACES = "/api/v1/faces/"


def with_bystander(rgb: RgbImage, other: RgbImage, height: int) -> bytes:
    """A picture of one person, and at its lower right the head of another in a picture of that height."""
    head = other[:400, 100:500]
    scale = height / head.shape[0]
    small = cv2.resize(head, (round(head.shape[1] * scale), height), interpolation=cv2.INTER_AREA)
    shown = np.full((max(len(rgb), height), rgb.shape[1] + small.shape[1], 3), 96, np.uint8)
    shown[: len(rgb), : rgb.shape[1]] = rgb
    shown[-height:, rgb.shape[1] :] = small
    return encode_jpeg(shown, 95)


def close_up() -> RgbImage:
    return np.asarray(cv2.resize(astronaut()[:320, 60:380], (480, 480)), np.uint8)


@pytest.fixture(scope="module")
def beside_somebody() -> bytes:
    """Somebody with a smaller face behind, at the edge."""
    return with_bystander(close_up(), grace_hopper(), 200)


async def ask(api: httpx.AsyncClient, question: str, *pictures: bytes, **fields: str) -> httpx.Response:
    name = "images" if question == "compare" else "image"
    files = [(name, (f"{index}.jpg", picture, "image/jpeg")) for index, picture in enumerate(pictures)]
    return await api.post(f"{FACES}{question}/", files=files, data=fields)


def holds(box: dict[str, Any], x: float, y: float) -> bool:
    return bool(box["x"] < x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"])


async def test_a_bystander_is_counted_and_the_person_is_used(
    api: httpx.AsyncClient, faces: Faces, beside_somebody: bytes
) -> None:
    await api.post("/api/v1/subjects/alice/templates/", files={"images": faces.astronaut})
    detected = (await ask(api, "detect", beside_somebody)).json()
    assert (detected["faces_found"], len(detected["faces"])) == (2, 2)
    assert detected["box"] == detected["faces"][0]["box"]
    compared = (await ask(api, "compare", faces.astronaut, beside_somebody)).json()
    assert (compared["match"], compared["faces_found"]) == (True, [1, 2])
    assert compared["boxes"][1] == detected["box"]
    verified = (await ask(api, "verify", beside_somebody, subject_id="alice")).json()
    found = (await ask(api, "search", beside_somebody)).json()
    assert (verified["match"], verified["faces_found"], verified["box"]) == (True, 2, detected["box"])
    assert [match["subject_id"] for match in found["matches"]] == ["alice"]
    assert (found["faces_found"], found["box"]) == (2, detected["box"])
    assert holds(detected["box"], 0.36, 0.34)


async def test_a_bystander_does_not_hinder_an_enrolment(
    api: httpx.AsyncClient, faces: Faces, beside_somebody: bytes
) -> None:
    response = await api.post("/api/v1/subjects/alice/templates/", files={"images": beside_somebody})
    assert response.status_code == 201, response.text
    assert (await ask(api, "verify", faces.astronaut_again, subject_id="alice")).json()["match"]
    assert not (await ask(api, "verify", faces.hopper, subject_id="alice")).json()["match"]


async def test_who_asks_for_a_single_face_gets_no_other(
    api: httpx.AsyncClient, faces: Faces, beside_somebody: bytes
) -> None:
    response = await ask(api, "compare", faces.astronaut, beside_somebody, face="single")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "multiple_faces")
    assert response.json()["error"]["details"] == {"faces_found": 2}
    assert (await ask(api, "compare", faces.astronaut, faces.astronaut_again, face="single")).json()["match"]
    assert (await ask(api, "search", faces.astronaut, face="neither")).status_code == 422


async def test_who_might_be_meant_is_not_guessed(api: httpx.AsyncClient, faces: Faces) -> None:
    for field in ({}, {"face": "largest"}):
        response = await ask(api, "compare", faces.astronaut, faces.both, **field)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "multiple_faces")
