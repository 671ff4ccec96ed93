"""Frames and sessions that the end-to-end tests share."""

from __future__ import annotations

from testkit import loopback
from testkit.clips import GRID_CLIPS, GridClip, encode_jpeg, read_clip
from testkit.service import LiveService
from testkit.stream_client import Liveness, Message, SessionKind, StreamResult, play


def clip(name: str) -> GridClip:
    return next(clip for clip in GRID_CLIPS if clip.name == name)


def jpegs(source: GridClip, start: int = 0, stop: int = 75) -> list[bytes]:
    return [encode_jpeg(frame) for frame in read_clip(source.path, start, stop)]


async def run(
    service: LiveService,
    kind: SessionKind,
    frames: list[bytes],
    subject_id: str | None = None,
    liveness: Liveness = "passive",
) -> tuple[Message, StreamResult]:
    """Play frames into a new session; the session as the backend reads it afterwards, and the stream."""
    async with service.client() as client:
        created = await client.create_session(kind, subject_id, liveness)
        result = await play(created.websocket_url, frames)
        return await client.session(created.id), result


async def run_to_the_end(
    service: LiveService,
    kind: SessionKind,
    frames: list[bytes],
    subject_id: str | None = None,
    liveness: Liveness = "passive",
) -> Message:
    session, result = await run(service, kind, frames, subject_id, liveness)
    assert result.completed is not None, f"no decision; the last message was {result.messages[-1]}"
    assert result.close_code == 1000
    assert result.completed["decision_token"] == session["decision_token"]
    return result.completed


def erase_everyone(service: LiveService) -> None:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    for subject in service.get("/api/v1/subjects/").json()["items"]:
        loopback.delete(f"{service.base_url}/api/v1/subjects/{subject['subject_id']}/", headers=headers)
