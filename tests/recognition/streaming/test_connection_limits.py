"""Limits on a connection's duration and message rate, and on the number of connections."""

from __future__ import annotations

import asyncio

import pytest

from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.recognition.conftest import Configure, UseMeshes
from tests.recognition.support import (
    ANYONE,
    Backend,
    Faces,
    SlowMesh,
    Socket,
    connect,
    row,
    token,
)
from vocabulary.sessions import SessionStatus

pytestmark = pytest.mark.usefixtures("unblocked_loop")


async def test_a_connection_too_many_is_refused(backend: Backend, configure: Configure) -> None:
    worker = configure(max_connections=1)
    async with connect(await token(worker, backend)) as first:
        await first.greeted()
        async with connect(await token(worker, backend, ANYONE)) as second:
            error = await second.receive()
            assert (error["code"], error["retryable"]) == ("overloaded", True)
            assert error["retry_after_ms"] > 0
            assert await second.closed() == 1013
    async with connect(await token(worker, backend, ANYONE)) as third:
        await third.greeted()


async def test_a_flood_ends_the_connection(backend: Backend, configure: Configure) -> None:
    worker = configure(max_messages_per_s=5)
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        for _ in range(60):
            await socket.say("ping")
        messages = [await socket.receive()]
        while messages[-1] == {"type": "pong"}:
            messages.append(await socket.receive())
        assert len(messages) > 20
        assert messages[-1]["code"] == "too_fast"
        assert await socket.closed() == 4429
    assert (await row(worker)).status == SessionStatus.IN_PROGRESS


async def test_a_silent_socket_is_closed(backend: Backend, configure: Configure) -> None:
    worker = configure(idle_timeout_s=0.3)
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        assert await socket.refused() == ("idle", 4408)
    assert (await row(worker)).status == SessionStatus.IN_PROGRESS


async def test_a_socket_that_pings_is_not_idle(backend: Backend, configure: Configure) -> None:
    worker = configure(idle_timeout_s=3.0)
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        for _ in range(10):
            await socket.say("ping")
            assert await socket.receive() == {"type": "pong"}
            await asyncio.sleep(0.4)


async def test_the_time_limit_ends_a_session_without_a_single_frame(backend: Backend, configure: Configure) -> None:
    worker = configure(recognition_time_limit_s=1.0)
    async with connect(await token(worker, backend, ANYONE)) as socket:
        await socket.greeted()
        done = await socket.receive()
        assert await socket.closed() == 1000
    assert (done["type"], done["success"], done["reason"]) == ("identification_complete", False, "timeout")
    assert (await row(worker)).status == SessionStatus.FAILED


async def test_the_time_limit_ends_a_session_whose_frames_never_stop(
    backend: Backend, faces: Faces, worker: Worker, configure: Configure, use_meshes: UseMeshes
) -> None:
    impatient = configure(enrollment_time_limit_s=1.5, max_messages_per_s=1_000)
    use_meshes(lambda: SlowMesh(worker.engine), of=impatient)
    async with connect(await token(impatient, backend)) as socket:
        await socket.greeted()
        streaming = asyncio.create_task(send_without_end(socket, faces.nobody))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (message := await socket.receive())["type"] == "frame_processed":
                    pass
        finally:
            streaming.cancel()
    assert (message["type"], message["success"]) == ("enrollment_complete", False)


async def send_without_end(socket: Socket, data: bytes) -> None:
    while True:
        await socket.send(data)
        await asyncio.sleep(0.01)
