"""More frames than the pool can process: the newest wins, and each client learns what happened to its frames."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
from prometheus_client import REGISTRY

from core.liveness.policy import Policy
from monitoring.pool_load import PoolLoad
from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.recognition.conftest import UseMeshes
from tests.recognition.support import (
    ANYONE,
    Backend,
    Faces,
    Gate,
    GatedMesh,
    SlowMesh,
    asked,
    became,
    connect,
    frame_answers,
    text_frame,
    token,
)

pytestmark = pytest.mark.usefixtures("unblocked_loop")


async def test_a_frame_without_a_free_instance_is_told_busy_and_the_session_goes_on(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    crowded = use_meshes(lambda: GatedMesh(worker.engine, gate), timeout_s=0.2)
    async with (
        connect(await token(crowded, backend)) as first,
        connect(await token(crowded, backend, ANYONE)) as second,
    ):
        await first.greeted()
        await second.greeted()
        await first.send(faces.astronaut)
        await gate.somebody_arrived()
        await second.say("frame", **text_frame(faces.astronaut, seq=9))
        busy = await second.receive()
        assert (busy["type"], busy["code"], busy["retryable"], busy["seq"]) == ("error", "busy", True, 9)
        assert busy["retry_after_ms"] > 0
        gate.open()
        assert (await first.receive())["type"] == "frame_processed"
        assert (await second.ask(faces.astronaut))["type"] == "frame_processed"
    assert crowded.executor.statistics().timeouts_total == 1


async def test_a_frame_that_waits_for_an_instance_gives_way_to_a_newer_one(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    crowded = use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with (
        connect(await token(crowded, backend)) as first,
        connect(await token(crowded, backend, ANYONE)) as second,
    ):
        await first.greeted()
        await second.greeted()
        await first.send(faces.astronaut)
        await gate.somebody_arrived()
        for _ in range(3):
            await second.send(faces.nobody)
        await second.say("ping")
        assert await second.receive() == {"type": "pong"}
        gate.open()
        answer = await second.receive()
    assert (answer["type"], answer["seq"], answer["dropped"]) == ("frame_processed", 3, 2)


async def test_all_instances_are_lent_where_there_is_a_thread_for_each(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    changed = use_meshes(lambda: GatedMesh(worker.engine, gate), size=8, timeout_s=PATIENCE_S)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(f"test_{number}")) for number in range(9)]
        for socket in sockets:
            await socket.greeted()
            await socket.send(faces.nobody)
        for _ in range(8):
            await gate.somebody_arrived()
        await became(lambda: changed.executor.statistics().waiting == 1, "the ninth frame waits")
        load = PoolLoad.of(changed.engine.pool_status(), changed.executor.statistics())
        assert changed.engine.pool_status().in_use == 8
        assert (load.in_use, load.computing, load.compute_threads) == (8, 8, 8)
        assert (load.available, load.waiting, load.exhausted_total) == (0, 1, 1)
        gate.open()
        answers = [await socket.receive() for socket in sockets]
    assert [answer["type"] for answer in answers] == ["frame_processed"] * 9
    assert changed.executor.statistics().timeouts_total == 0


async def test_the_newest_frame_wins_and_every_other_is_answered_once_and_in_order(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.nobody)
        await gate.somebody_arrived()
        for _ in range(5):
            await socket.send(faces.nobody)
        await socket.say("ping")
        assert await socket.receive() == {"type": "pong"}
        gate.open()
        first, newest = await frame_answers(socket, 2)
        assert (first["seq"], newest["seq"]) == (1, 6)
        assert newest["dropped"] == 4
        assert await socket.is_silent()
        after = await socket.ask(faces.nobody)
    assert (after["seq"], after["dropped"]) == (7, 4)


async def test_a_bad_frame_waits_its_turn(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.nobody)
        await gate.somebody_arrived()
        await socket.say("frame", image="!")
        gate.open()
        first, second = await frame_answers(socket, 2)
    assert [(answer["type"], answer["seq"]) for answer in (first, second)] == [("frame_processed", 1), ("error", 2)]


async def test_a_stream_that_is_too_fast_gets_one_answer_for_each_frame_that_was_not_replaced(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    sent = 40
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        for _ in range(sent):
            await socket.send(faces.nobody)
            await asyncio.sleep(0.002)
        answers = [await socket.receive()]
        while answers[-1]["seq"] < sent:
            answers.append(await socket.receive())
        assert await socket.is_silent()
    numbers = [answer["seq"] for answer in answers]
    assert all(earlier < later for earlier, later in pairwise(numbers))
    assert len(answers) + answers[-1]["dropped"] == sent
    assert answers[-1]["dropped"] > 0


@pytest.mark.parametrize(
    ("work_s", "pause_s", "told"), [(1.0, 0.0, False), (0.0, 1.0, True)], ids=["slow service", "slow sender"]
)
async def test_only_a_sender_that_is_slow_is_told_so(
    backend: Backend,
    faces: Faces,
    worker: Worker,
    use_meshes: UseMeshes,
    work_s: float,
    pause_s: float,
    told: bool,
) -> None:
    slow = use_meshes(lambda: SlowMesh(worker.engine, work_s))
    async with connect(await token(slow, backend, asked("identification", liveness=Policy.PASSIVE))) as socket:
        await socket.greeted()
        said = []
        for _ in range(4):
            said.append((await socket.ask(faces.astronaut))["guidance"]["code"])
            await asyncio.sleep(pause_s)
    assert ("connection_too_slow" in said) == told


async def test_replaced_frames_are_counted_in_the_metrics(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes, gate: Gate
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    before = dropped_total()
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.nobody)
        await gate.somebody_arrived()
        for _ in range(4):
            await socket.send(faces.nobody)
        gate.open()
        await frame_answers(socket, 2)
    assert dropped_total() - before == 3


def dropped_total() -> float:
    value = REGISTRY.get_sample_value("face_frames_dropped_total")
    assert value is not None
    return value
