"""A frame's steps run on the right threads, once each and not concurrently."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from gallery.stores.exact import ExactStore
from recognition.deciding import Deciding
from recognition.models import Decision
from recognition.sessions import checkpoints, lifecycle
from recognition.sessions.lease import Lease
from recognition.sessions.state import Flow, Match, Observation, Outcome
from recognition.streaming.analysis import find_match
from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.recognition.conftest import UseMeshes
from tests.recognition.support import (
    ANYONE,
    Backend,
    Faces,
    Gate,
    GatedMesh,
    asked,
    connect,
    count,
    token,
    until_complete,
)
from wire.errors import Unavailable


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Number of cursors and gallery searches of each kind of thread, by its pool's name."""
    threads = Counter[str]()

    def counted(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            threads[threading.current_thread().name.partition("_")[0]] += 1
            return real(*args, **options)

        return call

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", counted(BaseDatabaseWrapper.cursor))
    monkeypatch.setattr(ExactStore, "search", counted(ExactStore.search))
    monkeypatch.setattr(ExactStore, "of_subject", counted(ExactStore.of_subject))
    return threads


@pytest.mark.parametrize("kind", ["enrollment", "authentication", "identification"])
async def test_a_compute_thread_makes_no_query(
    kind: str, worker: Worker, alice: Backend, faces: Faces, queries: Counter[str]
) -> None:
    secret = await token(worker, alice, asked(kind, "" if kind == "identification" else "alice"))
    queries.clear()
    async with connect(secret) as socket:
        await socket.greeted()
        _, result = await until_complete(socket, faces.astronaut)
    assert result["success"], result
    assert set(queries) == {"database"}


async def test_a_sandbox_makes_no_query(backend: Backend, faces: Faces, queries: Counter[str]) -> None:
    async with connect("test_anything") as socket:
        await socket.greeted()
        queries.clear()
        answers = [await socket.ask(faces.astronaut) for _ in range(6)]
    assert {answer["type"] for answer in answers} == {"frame_processed"}
    assert not queries


class Counted:
    """Counts the calls of `FaceRecognitionEngine.analyse` and of `Flow.observe`."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.analysed = self.weighed = 0
        self.weighing = threading.Semaphore(0)
        analyse, observe = type(worker.engine).analyse, Flow.observe

        def counted_analyse(*args: Any, **options: Any) -> Any:
            self.analysed += 1
            return analyse(*args, **options)

        def counted_observe(flow: Flow, seen: Observation, *known: Any) -> Outcome | None:
            outcome = observe(flow, seen, *known)
            self.weighed += 1
            self.weighing.release()
            return outcome

        monkeypatch.setattr(type(worker.engine), "analyse", counted_analyse)
        monkeypatch.setattr(Flow, "observe", counted_observe)


@pytest.fixture
def counted(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(worker, monkeypatch)


async def test_a_frame_whose_match_fails_at_first_is_looked_at_and_counted_once(
    worker: Worker, alice: Backend, faces: Faces, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 2

    def fail_at_first(*args: Any) -> Match | None:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("not now", 1)
        return find_match(*args)

    monkeypatch.setattr("recognition.streaming.pipeline.find_match", fail_at_first)
    async with connect(await token(worker, alice, ANYONE)) as socket:
        await socket.greeted()
        answer = await socket.ask(faces.astronaut)
    assert failures == 0
    assert answer["type"] in ("frame_processed", "identification_complete")
    assert (counted.analysed, counted.weighed) == (1, 1)


async def test_a_frame_that_cannot_be_matched_is_told_and_counts_for_nothing(
    worker: Worker, alice: Backend, faces: Faces, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise Unavailable("not now", 1)

    secret = await token(worker, alice, ANYONE)
    with monkeypatch.context() as outage:
        outage.setattr("database.outages.OUTAGE_RETRY_S", 0.0)
        outage.setattr("recognition.streaming.pipeline.find_match", fail)
        async with connect(secret) as socket:
            await socket.greeted()
            await socket.send(faces.astronaut)
            assert await socket.refused() == ("unavailable", 1013)
    assert (counted.analysed, counted.weighed) == (1, 0)
    async with connect(secret) as again:
        await again.greeted()
        _, result = await until_complete(again, faces.astronaut)
    assert result["success"]


async def test_a_frame_changes_nothing_of_what_a_cancellation_is_decided_on(
    worker: Worker,
    backend: Backend,
    faces: Faces,
    use_meshes: UseMeshes,
    gate: Gate,
    counted: Counted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_meshes(lambda: GatedMesh(worker.engine, gate))
    decide, flows = lifecycle.decide, list[str]()

    def decide_while_the_frame_goes_on(by: Deciding, connection: Lease, outcome: Outcome) -> Decision:
        flows.append(checkpoints.dump(connection.flow))
        gate.open()
        assert counted.weighing.acquire(timeout=PATIENCE_S), "the frame was not weighed"
        flows.append(checkpoints.dump(connection.flow))
        return decide(by, connection, outcome)

    monkeypatch.setattr(lifecycle, "decide", decide_while_the_frame_goes_on)
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.astronaut)
        await gate.somebody_arrived()
        await socket.say("cancel")
        messages = [await socket.receive()]
        while messages[-1]["type"] == "frame_processed":
            messages.append(await socket.receive())
        assert (messages[-1]["type"], messages[-1]["reason"]) == ("enrollment_complete", "cancelled")
    assert flows[0] == flows[1]
    assert await count(worker, Decision) == 1
