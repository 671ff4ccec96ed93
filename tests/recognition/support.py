"""Access to the real application for this package's tests: over HTTP, over a socket, and with failing meshes."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from channels.testing import WebsocketCommunicator

from core.face_mesh import IN_SESSION, UNTRACKED, FaceMesh, Search, Tracking
from core.face_recognition_engine import FaceRecognitionEngine, LivenessDetector
from core.liveness.policy import Policy
from core.pool import Pool
from core.types import Detail, MeshFace, RgbImage
from database.calls import with_connection
from face_app.asgi import application
from recognition.models import Decision, Session
from recognition.sessions import lifecycle
from recognition.sessions.lifecycle import SessionRequest
from recognition.sessions.terms import LivenessRequest
from recognition.worker import Worker, served_by
from scheduling.executor import Executor
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from vocabulary.sessions import SessionKind

Message = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """A tenant, and the API key that its backend holds."""

    tenant: Tenant
    key: str


@dataclass(frozen=True, slots=True)
class Faces:
    """Encoded pictures: one person twice, on its side and masked, another person, both in one picture, and no face."""

    astronaut: bytes
    astronaut_again: bytes
    hopper: bytes
    both: bytes
    nobody: bytes
    on_its_side: bytes
    masked: bytes


def asked(
    kind: str,
    subject_id: str = "",
    liveness: Policy = Policy.NONE,
    target_samples: int = 3,
    device_id: str = "",
    **metadata: Any,
) -> lifecycle.SessionRequest:
    return lifecycle.SessionRequest(
        SessionKind(kind), subject_id, LivenessRequest(liveness), target_samples, device_id, metadata
    )


def http_client(key: str | None) -> httpx.AsyncClient:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    asgi: Any = service  # Each library has ASGI types of its own.
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=asgi), base_url="http://testserver", headers=headers, timeout=60
    )


class Service:
    """The real application, served by the worker that the test sets."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.worker is not None, "use the fixture `served`"
        served: Any = served_by(self.worker, application)
        await served(scope, receive, send)


service = Service()


class Socket:
    """The client's end of one connection. Leaving its block drops the connection without a close frame."""

    def __init__(self, token: str, headers: list[tuple[bytes, bytes]], query: str, client: str) -> None:
        self._communicator = WebsocketCommunicator(service, f"/ws/auth/process-image/{token}/{query}", headers)
        self._communicator.scope["client"] = (client, 40_000)

    async def __aenter__(self) -> Self:
        await self._communicator.send_input({"type": "websocket.connect"})
        assert (await self._output())["type"] == "websocket.accept"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._communicator.future.done():
            await self._communicator.disconnect(timeout=PATIENCE_S)

    async def close(self, code: int) -> None:
        """End the connection with the code that the server sees: 1006 where it was cut."""
        await self._communicator.disconnect(code, timeout=PATIENCE_S)

    async def send(self, data: bytes) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "bytes": data})

    async def send_text(self, text: str) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def say(self, type_: str, **fields: Any) -> None:
        await self.send_text(json.dumps({"type": type_, **fields}))

    async def receive(self) -> Message:
        output = await self._output()
        assert output["type"] == "websocket.send", f"expected a message, got {output}"
        message: Message = json.loads(output["text"])
        return message

    async def greeted(self) -> Message:
        """Receive the first message, `connection_established`."""
        message = await self.receive()
        assert message["type"] == "connection_established", message
        return message

    async def ask(self, data: bytes) -> Message:
        """The answer to one frame."""
        await self.send(data)
        return await self.receive()

    async def closed(self) -> int:
        """Receive the close code, which must come next."""
        output = await self._output()
        assert output["type"] == "websocket.close", f"expected the close, got {output}"
        return int(output["code"])

    async def refused(self) -> tuple[str, int]:
        """Receive an error and the close after it; returns both codes."""
        message = await self.receive()
        assert message["type"] == "error", message
        return message["code"], await self.closed()

    async def is_silent(self, seconds: float = 0.2) -> bool:
        return bool(await self._communicator.receive_nothing(seconds))

    async def _output(self) -> dict[str, Any]:
        output: dict[str, Any] = await self._communicator.receive_output(PATIENCE_S)
        return output


def connect(
    token: str, headers: list[tuple[bytes, bytes]] | None = None, query: str = "", client: str = "127.0.0.1"
) -> Socket:
    return Socket(token, headers or [], query, client)


async def until_complete(socket: Socket, data: bytes, frames: int = 60) -> tuple[list[Message], Message]:
    """Send one picture repeatedly, each after the last answer; returns the answers and the result."""
    answers: list[Message] = []
    for _ in range(frames):
        message = await socket.ask(data)
        if message["type"].endswith("_complete"):
            return answers, message
        answers.append(message)
        if message["type"] == "frame_processed" and not await socket.is_silent(0.005):
            return answers, await socket.receive()
    raise AssertionError(f"no result after {frames} frames; the last answer was {answers[-1]}")


async def in_database(worker: Worker, function: Callable[..., Any], *args: Any) -> Any:
    return await worker.database.run(function, *args)


def side_by_side(calls: list[Callable[[], T]]) -> list[T | Exception]:
    """Start all calls at once, each on its own thread; returns their results or exceptions."""

    def guarded(call: Callable[[], T]) -> T | Exception:
        try:
            return with_connection(call)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(guarded, calls))


def decision_of(session: Session) -> Decision:
    return Decision.across_tenants.select_related("session").get(session=session.pk)


class RealMesh:
    """A real mesh; the fakes below inject faults around it."""

    def __init__(self, engine: FaceRecognitionEngine) -> None:
        self._engine = engine
        self.closed = False

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        return self._engine.detector.safe_process(rgb, tracking=tracking, detail=detail)

    def close(self) -> None:
        self.closed = True


class RaisingMesh(RealMesh):
    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        raise RuntimeError("this mesh is broken")


class SlowMesh(RealMesh):
    def __init__(self, engine: FaceRecognitionEngine, work_s: float = 0.05) -> None:
        super().__init__(engine)
        self._work_s = work_s

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        time.sleep(self._work_s)
        return super().process(rgb, tracking, detail)


class Gate:
    """Blocks every mesh that reaches it until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.arrived = threading.Semaphore(0)

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def pass_through(self) -> None:
        self.arrived.release()
        assert self._open.wait(PATIENCE_S), "nobody opened the gate"

    async def somebody_arrived(self) -> None:
        assert await asyncio.to_thread(self.arrived.acquire, timeout=PATIENCE_S), "nobody came to the gate"


class GatedMesh(RealMesh):
    def __init__(self, engine: FaceRecognitionEngine, gate: Gate) -> None:
        super().__init__(engine)
        self._gate = gate

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        self._gate.pass_through()
        return super().process(rgb, tracking, detail)


def with_settings(worker: Worker, **settings: Any) -> Worker:
    """The same worker with some settings changed."""
    changed = worker.settings.model_copy(update=settings)
    return replace(worker, deciding=replace(worker.deciding, settings=changed))


def with_meshes(worker: Worker, make_mesh: Callable[[], FaceMesh], size: int, timeout_s: float) -> Worker:
    """The same worker over another pool; close its executor and its engine afterwards."""
    pool = Pool(make_mesh, size)
    pool.fill()
    real = worker.engine
    detector = LivenessDetector(pool, timeout_s)
    engine = FaceRecognitionEngine(detector, real._embedder, real._spoof, real.backend, by_model=real._by_model)
    return replace(worker, engine=engine, executor=Executor(size, size, timeout_s))


async def became(true: Callable[[], bool], what: str) -> None:
    """Wait until `true()`. Raises AssertionError at the time limit."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - other threads make it true
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None


ALICE = asked("enrollment", "alice")
ANYONE = asked("identification")


async def token(worker: Worker, backend: Backend, request: SessionRequest = ALICE) -> str:
    session = (await worker.database.run(lifecycle.create, worker.deciding, backend.tenant, request, None)).session
    return lifecycle.token_of(worker.deciding, session)


async def row(worker: Worker) -> Session:
    """The only session in the database."""
    return await worker.database.run(Session.across_tenants.get)


async def count(worker: Worker, model: Any) -> int:
    found: int = await worker.database.run(model.across_tenants.count)
    return found


async def frame_answers(socket: Socket, number: int) -> list[Message]:
    return [await socket.receive() for _ in range(number)]


def text_frame(data: bytes, **fields: Any) -> dict[str, Any]:
    return {"image": base64.b64encode(data).decode(), **fields}
