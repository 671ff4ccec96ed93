from __future__ import annotations

import json

from ops.settings import load
from ops.worker import FaceWorker
from wire.messages import FrameMessage


def test_the_largest_frame_fits_into_a_text_message() -> None:
    base64_length = 4 * -(-load().max_image_bytes // 3)
    picture = "data:image/jpeg;base64," + "A" * base64_length
    message = json.dumps(FrameMessage(image=picture, seq=2**53).model_dump())
    assert len(message) <= FaceWorker.CONFIG_KWARGS["ws_max_size"] < 2 * len(message)


def test_pictures_are_not_compressed_again_and_a_worker_that_cannot_start_ends() -> None:
    assert FaceWorker.CONFIG_KWARGS["ws_per_message_deflate"] is False
    assert FaceWorker.CONFIG_KWARGS["lifespan"] == "on"
