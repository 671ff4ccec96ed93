"""Single pictures, outside of a session."""

from __future__ import annotations

from dataclasses import dataclass

from core.permits import Permit
from core.quality import Quality
from core.types import Embedding
from recognition.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Portrait:
    """What can be compared of a picture's most prominent face; without a face there is no embedding."""

    quality: Quality
    embedding: Embedding | None


def read_portrait(runtime: Runtime, data: bytes, permit: Permit) -> Portrait:
    """Decode, find, judge and embed. Blocks. Raises ImageError, PoolTimeout, MeshFailed."""
    look = runtime.engine.look_at_still(data, runtime.limits, permit)
    return Portrait(look.quality, runtime.engine.embed(look) if look.face is not None else None)


def read_liveness(runtime: Runtime, data: bytes, permit: Permit) -> tuple[Quality, float]:
    """The picture's quality and how live its most prominent face looks, 0 without one. Likewise."""
    look = runtime.engine.look_at_still(data, runtime.limits, permit)
    return look.quality, runtime.engine.live_score(look) if look.face is not None else 0.0
