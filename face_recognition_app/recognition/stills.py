"""What is asked of single pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.face_recognition_engine import FrameView
from core.features.values import Quality
from core.types import Embedding
from logs import request_id
from recognition.worker import Worker
from scheduling.frame_queue import ServiceClass
from tenants.models import Tenant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Portrait:
    """What can be compared of a picture's most prominent face; without a face there is no embedding."""

    quality: Quality
    embedding: Embedding | None


async def read(worker: Worker, tenant: Tenant, data: bytes, reader: Callable[[Worker, bytes], T]) -> T:
    """What one of the readers below returns for a picture. Pictures of a tenant take turns with its sessions, so many
    of them hold up no session. Raises Busy, and what the reader raises.
    """
    return await worker.executor.run(
        lambda: reader(worker, data),
        owner=tenant.pk,
        service=ServiceClass.STILL,
        about=f"a picture of tenant {tenant.pk} (request {request_id.current.get()})",
    )


def faces(worker: Worker, data: bytes) -> FrameView:
    """Decode, find and judge. Like all of these it blocks, and raises ImageError, PoolTimeout or MeshFailed."""
    return worker.engine.analyse_still(data, worker.limits)


def portrait(worker: Worker, data: bytes) -> Portrait:
    view = faces(worker, data)
    return Portrait(view.quality, worker.engine.embed(view) if view.face is not None else None)


def liveness(worker: Worker, data: bytes) -> tuple[Quality, float]:
    """The picture's quality and how live its most prominent face looks, 0 without one: of every pixel, since what
    gives a display away is as fine."""
    view = worker.engine.analyse(data, worker.limits)
    return view.quality, worker.engine.live_score(view) if view.face is not None else 0.0
