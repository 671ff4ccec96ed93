"""What is asked of single pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.face_recognition_engine import Look
from core.permits import Permit
from core.quality import Quality
from core.types import Embedding
from recognition.runtime import Runtime
from tenants.models import Tenant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Portrait:
    """What can be compared of a picture's most prominent face; without a face there is no embedding."""

    quality: Quality
    embedding: Embedding | None


async def read(runtime: Runtime, tenant: Tenant, data: bytes, reader: Callable[[Runtime, bytes, Permit], T]) -> T:
    """What one of the readers below says of a picture. Pictures of a tenant take turns with its sessions, so that many
    of them hold up nobody who stands before a camera. Raises Busy, and what the reader raises.
    """
    return await runtime.admission.run(
        lambda permit: reader(runtime, data, permit),
        ("pictures", tenant.pk),
        about=f"a picture of tenant {tenant.pk}",
    )


def faces(runtime: Runtime, data: bytes, permit: Permit) -> Look:
    """Decode, find and judge. Like all of these it blocks, and raises ImageError, PoolTimeout or MeshFailed."""
    return runtime.engine.look_at_still(data, runtime.limits, permit)


def portrait(runtime: Runtime, data: bytes, permit: Permit) -> Portrait:
    look = faces(runtime, data, permit)
    return Portrait(look.quality, runtime.engine.embed(look) if look.face is not None else None)


def liveness(runtime: Runtime, data: bytes, permit: Permit) -> tuple[Quality, float]:
    """The picture's quality and how live its most prominent face looks, 0 without one: of every pixel, since what
    gives a display away is as fine."""
    look = runtime.engine.look(data, runtime.limits, permit)
    return look.quality, runtime.engine.live_score(look) if look.face is not None else 0.0
