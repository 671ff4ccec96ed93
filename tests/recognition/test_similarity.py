"""One probe has one similarity on every path: inside, over REST, in sessions, and in the search for duplicates."""

from __future__ import annotations

from functools import partial

import httpx
import jwt
import pytest

from core.types import Embedding
from gallery.upkeep import duplicates
from recognition.worker import Worker
from testkit.recognised import recognised
from tests.recognition.conftest import Configure
from tests.recognition.support import Backend, Faces, Message, connect, in_database, until_complete

AGREES = partial(pytest.approx, abs=1e-6)


async def session(api: httpx.AsyncClient, kind: str, picture: bytes) -> tuple[Message, Message]:
    """The socket's result, and what is read afterwards."""
    about = {"subject_id": "alice"} if kind == "authentication" else {}
    created = (await api.post("/api/v1/sessions/", json={"kind": kind, "liveness": "none", **about})).json()
    async with connect(created["token"]) as socket:
        await socket.greeted()
        _, complete = await until_complete(socket, picture)
    return complete, (await api.get(f"/api/v1/sessions/{created['id']}/")).json()


async def test_every_path_tells_the_same_similarity(
    alice: Backend,
    api: httpx.AsyncClient,
    faces: Faces,
    configure: Configure,
    worker: Worker,
    astronaut_embedding: Embedding,
) -> None:
    image = {"image": faces.astronaut_again}
    verified = (await api.post("/api/v1/faces/verify/", files=image, data={"subject_id": "alice"})).json()
    similarity = verified["similarity"]
    assert 0.9 < similarity < 0.999999
    assert similarity == round(similarity, 7)
    searched = (await api.post("/api/v1/faces/search/", files=image)).json()
    assert searched["matches"] == [{"subject_id": "alice", "similarity": AGREES(similarity)}]
    pictures = [("images", faces.astronaut), ("images", faces.astronaut_again)]
    compared = (await api.post("/api/v1/faces/compare/", files=pictures)).json()
    assert compared["similarity"] == AGREES(similarity)
    refused = (await api.post("/api/v1/subjects/bob/templates/", files={"images": faces.astronaut_again})).json()
    assert refused["error"]["details"] == {"subject_id": "alice", "similarity": AGREES(similarity)}
    probe = recognised(worker.engine.embed(worker.engine.analyse(faces.astronaut_again, worker.limits)))
    for kind in ("authentication", "identification"):
        complete, read = await session(api, kind, faces.astronaut_again)
        of_frame = read["decision"]["similarity"]
        assert of_frame == AGREES(float(probe @ astronaut_embedding))
        assert of_frame == round(of_frame, 7)
        assert read["decision"]["threshold"] == round(read["decision"]["threshold"], 7)
        claims = jwt.decode(complete["decision_token"], options={"verify_signature": False})
        # The person before the camera is never told how near a try came: it could be improved step by step.
        assert not {"similarity", "threshold"} & (complete.keys() | claims.keys())
    configure(duplicate_check=False)
    assert (
        await api.post("/api/v1/subjects/bob/templates/", files={"images": faces.astronaut_again})
    ).status_code == 201
    gallery = worker.deciding.gallery

    def pairs() -> list[duplicates.DuplicatePair]:
        searched = duplicates.begin(alice.tenant)
        return list(duplicates.find(alice.tenant, gallery, worker.settings.target_fpir, lambda *_: None, searched))

    (pair,) = await in_database(worker, pairs)
    assert (pair.subjects, pair.similarity) == (("alice", "bob"), AGREES(similarity))
