"""Single pictures, outside of a session."""

from __future__ import annotations

from dataclasses import dataclass

from core.permits import Permit
from core.quality import Quality
from core.types import Box, Embedding
from recognition.runtime import Runtime


@dataclass(frozen=True, slots=True)
class FacePicture:
    """The largest face of a picture; all but the quality are None without one."""

    box: Box | None
    quality: Quality
    embedding: Embedding | None
    live_score: float | None


def read_face_picture(runtime: Runtime, data: bytes, permit: Permit, *, live_score: bool = False) -> FacePicture:
    """Decode, find, judge and embed; with `live_score` ask the anti-spoof network instead of the embedder. Blocks."""
    look = runtime.engine.look(data, runtime.limits, permit)
    if look.face is None:
        return FacePicture(None, look.quality, None, None)
    if live_score:
        return FacePicture(look.box, look.quality, None, runtime.engine.live_score(look))
    return FacePicture(look.box, look.quality, runtime.engine.embed(look), None)
