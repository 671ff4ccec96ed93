from __future__ import annotations

import json
import socket

from config.settings import load
from server.worker import UNREAD_TIMEOUT_MS, FaceWorker, set_unread_timeout
from wire.messages import FrameMessage


def test_the_largest_frame_fits_into_a_text_message() -> None:
    base64_length = 4 * -(-load().max_image_bytes // 3)
    picture = "data:image/jpeg;base64," + "A" * base64_length
    message = json.dumps(FrameMessage(image=picture, seq=2**53).model_dump())
    assert len(message) <= FaceWorker.CONFIG_KWARGS["ws_max_size"] < 2 * len(message)


def test_pictures_are_not_compressed_again_and_a_worker_that_cannot_start_ends() -> None:
    assert FaceWorker.CONFIG_KWARGS["ws_per_message_deflate"] is False
    assert FaceWorker.CONFIG_KWARGS["lifespan"] == "on"


def test_the_kernel_ends_connections_whose_client_reads_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        set_unread_timeout(listener)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                timeout = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert timeout == UNREAD_TIMEOUT_MS


def test_a_listener_that_is_not_tcp_is_left_unchanged() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        set_unread_timeout(listener)
