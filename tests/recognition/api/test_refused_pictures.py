"""A worker keeps nothing of a picture that it refused."""

from __future__ import annotations

import gc

import httpx
import pytest
from PIL import Image

from core.imaging.containers import jpeg
from logs.tracebacks import let_go
from testkit.clips import astronaut
from testkit.hostile_pictures import hostile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("name", ["JPEG with 1,500 empty scans", "JPEG of empty segments"])
async def test_a_refused_picture_is_let_go_before_the_collector_runs(api: httpx.AsyncClient, name: str) -> None:
    picture = hostile(Image.fromarray(astronaut()))[name]()
    gc.collect()
    gc.disable()
    try:
        answer = await api.post("/api/v1/faces/detect/", content=picture, headers={"content-type": "image/jpeg"})
        assert answer.json()["error"]["code"] == "image_too_complex"
        kept = [one for one in gc.get_objects() if isinstance(one, jpeg._Walk)]
    finally:
        gc.enable()
    assert not kept, "each keeps the bytes of its picture"


def test_an_error_that_was_answered_keeps_no_frames() -> None:
    try:
        try:
            raise KeyError("behind it")
        except KeyError as error:
            raise ValueError("told") from error
    except ValueError as error:
        told = error
    let_go(told)
    assert told.__traceback__ is None
    assert told.__cause__ is not None
    assert told.__cause__.__traceback__ is None
