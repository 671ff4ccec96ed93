"""Whatever one client sends to the real service, it gets a defined answer, and nobody else notices."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import sqlite3
import struct
import threading
import uuid
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_to
from websockets.exceptions import ConnectionClosed

from core.types import RgbImage
from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import LiveService
from testkit.stream_client import Message

PORTRAIT = astronaut()
FACE = encode_jpeg(PORTRAIT)
MEGABYTE = 1024 * 1024
SESSION_FRAMES = 8
"""Of a bystander's session: it would be ended as frozen after `limits.FROZEN_FRAMES`, for its picture never moves."""


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded(suffix: str, pixels: Any) -> bytes:
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def png_that_declares(width: int, height: int) -> bytes:
    """A small file whose header promises many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def with_archive_behind(picture: bytes) -> bytes:
    buffer = io.BytesIO(picture)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("evil.sh", "rm -rf /")
    return buffer.getvalue()


def rotated(rgb: RgbImage) -> bytes:
    """Lying on its side, with the EXIF orientation that turns it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(np.rot90(rgb)), "JPEG", exif=exif.tobytes())


PICTURE = Image.fromarray(PORTRAIT)
OTHER = Image.fromarray(255 - PORTRAIT)

UNUSABLE = {
    "empty": (b"", "invalid_image"),
    "not a picture": (b"#!/bin/sh\nreboot\n", "invalid_image"),
    "random bytes": (np.random.default_rng(1).bytes(50_000), "invalid_image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "unsupported_format"),
    "truncated JPEG": (FACE[: len(FACE) // 2], "invalid_image"),
    "JPEG header only": (FACE[:200], "invalid_image"),
    "truncated PNG": (saved(PICTURE, "PNG")[:20_000], "invalid_image"),
    "truncated WebP": (saved(PICTURE, "WEBP")[:3_000], "invalid_image"),
    "50 megapixels declared": (png_that_declares(10_000, 5_000), "image_too_large"),
    "4 gigapixels declared": (png_that_declares(65_000, 65_000), "image_too_large"),
    "more pixels declared than there are": (png_that_declares(2_000, 2_000), "invalid_image"),
    "PDF in front of a JPEG": (b"%PDF-1.7\n" + FACE, "unsupported_format"),
    "GIF": (saved(PICTURE, "GIF"), "unsupported_format"),
    "animated GIF": (saved(PICTURE, "GIF", save_all=True, append_images=[OTHER]), "unsupported_format"),
    "animated PNG": (saved(PICTURE, "PNG", save_all=True, append_images=[OTHER]), "unsupported_format"),
    "animated WebP": (saved(PICTURE, "WEBP", save_all=True, append_images=[OTHER]), "unsupported_format"),
    "TIFF": (saved(PICTURE, "TIFF"), "unsupported_format"),
    "BMP": (saved(PICTURE, "BMP"), "unsupported_format"),
    "11 megabytes": (FACE + bytes(11 * MEGABYTE), "image_too_large"),
}

UNUSUAL = {
    "JPEG with an archive behind": with_archive_behind(FACE),
    "JPEG with a page behind": FACE + b"<html><script>alert(1)</script></html>",
    "CMYK": saved(PICTURE.convert("CMYK"), "JPEG"),
    "grayscale": saved(PICTURE.convert("L"), "JPEG"),
    "palette": saved(PICTURE.convert("P"), "PNG"),
    "with transparency": saved(PICTURE.convert("RGBA"), "PNG"),
    "16 bit": encoded(".png", PORTRAIT[:, :, ::-1].astype(np.uint16) * 257),
    "16 bit grayscale": encoded(".png", cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257),
    "progressive": saved(PICTURE, "JPEG", progressive=True),
    "EXIF rotated": rotated(PORTRAIT),
    "still WebP": saved(PICTURE, "WEBP"),
}

OUTSIDE_THE_PROTOCOL = {
    "no JSON": "hello",
    "half JSON": '{"type":"frame","image":"',
    "no object": "[]",
    "unknown type": '{"type":"reboot"}',
    "no type": '{"image":""}',
    "no image": '{"type":"frame"}',
    "deep": "[" * 100_000,
    "empty": "",
}


def socket_to(url: str) -> connect_to:
    return connect_to(url, compression=None, proxy=None, max_size=None, write_limit=64 * MEGABYTE)


async def receive(socket: ClientConnection) -> Message:
    async with asyncio.timeout(PATIENCE_S):
        message: Message = json.loads(await socket.recv())
        return message


async def ask(socket: ClientConnection, frame: bytes | str) -> Message:
    await socket.send(frame)
    return await receive(socket)


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        await socket.wait_closed()
    return socket.close_code


def as_text(data: bytes, **fields: Any) -> str:
    return json.dumps({"type": "frame", "image": base64.b64encode(data).decode(), **fields})


def http_to(service: LiveService) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    return loopback.client(base_url=service.base_url, headers=headers, timeout=PATIENCE_S)


async def worker_pids(service: LiveService) -> set[int]:
    async with http_to(service) as client:
        status = (await client.get("/api/pool/status/")).json()
    return {worker["pid"] for worker in status["workers"]}


async def new_session(service: LiveService) -> Message:
    """An enrolment that a still picture can neither complete nor fail within a test."""
    asked = {"kind": "enrollment", "subject_id": f"s-{uuid.uuid4().hex}", "liveness": "active"}
    async with http_to(service) as client:
        response = await client.post("/api/v1/sessions/", json=asked)
    assert response.status_code == 201, response.text
    created: Message = response.json()
    return created


class Bystander:
    """Streams a face until it is told to end, through one session after the other."""

    def __init__(self, service: LiveService) -> None:
        self._service = service
        self._over = threading.Event()
        self.answered = 0
        """Frames that were answered as they should be."""

    async def stream(self) -> None:
        while not self._over.is_set():
            async with socket_to((await new_session(self._service))["websocket_url"]) as socket:
                assert (await receive(socket))["type"] == "connection_established"
                for seq in range(1, SESSION_FRAMES + 1):
                    answer = await ask(socket, FACE)
                    assert (answer["type"], answer.get("seq"), answer.get("dropped")) == ("frame_processed", seq, 0)
                    assert answer["face"] is not None
                    self.answered += 1
                    await asyncio.sleep(0.05)

    def end(self) -> None:
        self._over.set()


Stream = tuple[Bystander, Future[None]]


@pytest.fixture(scope="module")
def bystanders(live_service: LiveService) -> Iterator[list[Stream]]:
    """Two other clients, each with a thread and an event loop of its own, stream as long as the tests run."""
    others = [Bystander(live_service) for _ in range(2)]
    with ThreadPoolExecutor(len(others)) as threads:
        streams = [(other, threads.submit(asyncio.run, other.stream())) for other in others]
        yield streams
        for other in others:
            other.end()
        for _, stream in streams:
            stream.result()


@pytest.fixture(autouse=True)
async def undisturbed(live_service: LiveService, bystanders: list[Stream]) -> AsyncIterator[None]:
    """The bystanders, the workers and the log come through every test untouched."""
    logged = live_service.log.stat().st_size
    pids = await worker_pids(live_service)
    answered = [other.answered for other, _ in bystanders]
    yield
    async with asyncio.timeout(PATIENCE_S):
        for (other, stream), before in zip(bystanders, answered, strict=True):
            while other.answered < before + 3:
                if stream.done():
                    stream.result()
                await asyncio.sleep(0.01)
    assert await worker_pids(live_service) == pids
    assert b"Traceback" not in live_service.log.read_bytes()[logged:]


@asynccontextmanager
async def connected(service: LiveService) -> AsyncIterator[ClientConnection]:
    async with socket_to((await new_session(service))["websocket_url"]) as socket:
        assert (await receive(socket))["type"] == "connection_established"
        yield socket


@pytest.mark.parametrize(("data", "code"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_picture_is_refused_and_the_session_goes_on(
    live_service: LiveService, data: bytes, code: str
) -> None:
    async with connected(live_service) as socket:
        error = await ask(socket, data)
        assert (error["type"], error["code"], error["retryable"], error["seq"]) == ("error", code, True, 1)
        answer = await ask(socket, FACE)
        assert (answer["type"], answer["seq"], answer["samples"]["accepted"]) == ("frame_processed", 2, 1)


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL.keys())
async def test_an_unusual_picture_shows_its_face(live_service: LiveService, data: bytes) -> None:
    async with connected(live_service) as socket:
        answer = await ask(socket, data)
    assert answer["type"] == "frame_processed", answer
    face = answer["face"]
    assert face["x"] < 0.44 < face["x"] + face["width"]
    assert face["y"] < 0.25 < face["y"] + face["height"]


@pytest.mark.parametrize("image", ["*", "QUJ", "data:image/jpeg;base64,%%", "data:,", "data:image/jpeg;base64"])
async def test_wrong_base64_is_an_unusable_picture(live_service: LiveService, image: str) -> None:
    async with connected(live_service) as socket:
        error = await ask(socket, json.dumps({"type": "frame", "image": image, "seq": 41}))
        assert (error["code"], error["seq"]) == ("invalid_image", 41)
        assert (await ask(socket, as_text(FACE, seq=42)))["seq"] == 42


@pytest.mark.parametrize("text", OUTSIDE_THE_PROTOCOL.values(), ids=OUTSIDE_THE_PROTOCOL.keys())
async def test_text_outside_the_protocol_closes_its_socket(live_service: LiveService, text: str) -> None:
    async with connected(live_service) as socket:
        error = await ask(socket, text)
        assert (error["type"], error["code"], error["retryable"]) == ("error", "invalid_message", False)
        assert await close_code(socket) == 4400


@pytest.mark.parametrize("message", ["x" * (20 * MEGABYTE), bytes(15 * MEGABYTE)], ids=["20 MB text", "15 MB binary"])
async def test_a_message_that_is_too_big_closes_its_socket(live_service: LiveService, message: str | bytes) -> None:
    async with connected(live_service) as socket:
        with contextlib.suppress(ConnectionClosed):  # It may be closed before all of it is sent.
            await socket.send(message)
        assert await close_code(socket) == 1009


async def refusal(url: str) -> tuple[str, int | None]:
    async with socket_to(url) as socket:
        error = await receive(socket)
        assert error["type"] == "error", error
        return error["code"], await close_code(socket)


async def test_an_unknown_token_is_refused(live_service: LiveService) -> None:
    url = (await new_session(live_service))["websocket_url"]
    assert await refusal(url.removesuffix("/")[:-4] + "wxyz/") == ("unknown_token", 4401)


async def test_a_used_token_is_refused(live_service: LiveService) -> None:
    url = (await new_session(live_service))["websocket_url"]
    async with socket_to(url) as socket:
        await receive(socket)
        assert (await ask(socket, '{"type":"cancel"}'))["reason"] == "cancelled"
        assert await close_code(socket) == 1000
    assert await refusal(url) == ("unknown_token", 4401)


async def test_an_expired_token_is_refused(live_service: LiveService) -> None:
    created = await new_session(live_service)
    await asyncio.to_thread(let_time_pass, live_service, created["id"])
    assert await refusal(created["websocket_url"]) == ("unknown_token", 4401)
    async with http_to(live_service) as client:
        session = await client.get(f"/api/v1/sessions/{created['id']}/")
    assert session.json()["status"] == "expired"


def let_time_pass(service: LiveService, session_id: str) -> None:
    with contextlib.closing(sqlite3.connect(service.data_dir / "face.sqlite3", timeout=PATIENCE_S)) as database:
        aged = "UPDATE recognition_session SET expires_at = '2020-01-01 00:00:00' WHERE id = ?"
        assert database.execute(aged, [uuid.UUID(session_id).hex]).rowcount == 1
        database.commit()


async def test_the_token_of_a_session_that_the_backend_ended_is_refused(live_service: LiveService) -> None:
    created = await new_session(live_service)
    async with http_to(live_service) as client:
        ended = await client.delete(f"/api/v1/sessions/{created['id']}/")
    assert ended.json()["status"] == "cancelled"
    assert await refusal(created["websocket_url"]) == ("unknown_token", 4401)


@pytest.mark.parametrize("path", ["/ws/", "/ws/auth/process-image/", "/ws/auth/process-image/a/b/", "/api/health/"])
async def test_a_socket_to_nowhere_is_refused(live_service: LiveService, path: str) -> None:
    url = "ws" + live_service.base_url.removeprefix("http") + path
    assert await refusal(url) == ("unknown_token", 4401)


@pytest.mark.parametrize(("data", "code"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_picture_is_refused_over_http(live_service: LiveService, data: bytes, code: str) -> None:
    async with http_to(live_service) as client:
        response = await client.post("/api/v1/faces/detect/", files={"image": ("a.jpg", data, "image/jpeg")})
    statuses = {"invalid_image": 422, "unsupported_format": 415, "image_too_large": 413}
    assert (response.status_code, response.json()["error"]["code"]) == (statuses[code], code)
