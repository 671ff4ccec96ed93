"""Analyses of single pictures, run on the worker's executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.features.cover.measures import is_covered
from core.features.values import NOBODY, Quality
from core.imaging.frames import ImageLimits
from core.types import Box, Embedding
from logs import request_id
from recognition.worker import Worker
from scheduling.frame_queue import ServiceClass
from tenants.models import Tenant
from vocabulary.faces import FaceChoice, Issue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Portrait:
    """Quality, box and embedding of a picture's most prominent face, and how many faces were found; `box` is None
    without a face, `embedding` where nobody can be recognised: the face leans too far over, or looks like none.
    `plainly_covered`: whether mouth or nose are surely covered; where it may be so, that is an issue of the quality.
    `picture`: the aligned crop as PNG, if asked for."""

    quality: Quality
    faces_found: int
    box: Box | None
    embedding: Embedding | None
    plainly_covered: bool
    picture: bytes = b""


async def read(worker: Worker, tenant: Tenant, data: bytes, reader: Callable[[Worker, bytes], T]) -> T:
    """Run one of the readers below on a picture. Pictures and sessions share the threads by turns, so that many
    pictures delay no session. Raises Busy, and what the reader raises.
    """
    return await worker.executor.run(
        lambda: reader(worker, data),
        owner=tenant.pk,
        service=ServiceClass.STILL,
        about=f"a picture of tenant {tenant.pk} (request {request_id.current.get()})",
    )


def faces(worker: Worker, data: bytes) -> FrameView:
    """Decode the picture, find its faces and rate their quality.

    All readers block, and raise ImageError, PoolTimeout or MeshFailed.
    """
    return worker.engine.analyse_still(data, worker.limits)


def portrait(
    worker: Worker, data: bytes, model_id: str, choice: FaceChoice | None = None, *, with_picture: bool = False
) -> Portrait:
    """`model_id`: of the embedder. `choice`: None for as the service is configured."""
    return portrait_by(worker.engine, worker.limits, data, model_id, choice, with_picture=with_picture)


def portrait_by(
    engine: FaceRecognitionEngine,
    limits: ImageLimits,
    data: bytes,
    model_id: str,
    choice: FaceChoice | None = None,
    *,
    with_picture: bool = False,
) -> Portrait:
    """The same by an engine that is no worker's."""
    refuse_bystanders = None if choice is None else choice is FaceChoice.SINGLE
    view = engine.analyse_still(data, limits, refuse_bystanders=refuse_bystanders)
    embedding = engine.embed(view, model_id) if view.face is not None else None
    known = embedding is not None or Issue.LOOK_STRAIGHT in view.quality.issues
    covered = Issue.FACE_COVERED in view.quality.issues
    plainly = covered and view.aligned is not None and is_covered(view.aligned.crop, plainly=True)
    picture = engine.picture(view) if with_picture and embedding is not None else b""
    return Portrait(view.quality if known else NOBODY, len(view.faces), view.box, embedding, plainly, picture)


def liveness(worker: Worker, data: bytes) -> tuple[Quality, float]:
    """The picture's quality and the live score (0..1) of its most prominent face, 0 without a face.

    The picture is decoded at full size: a display's pixel grid disappears when it is reduced.
    """
    view = worker.engine.analyse(data, worker.limits)
    return view.quality, worker.engine.live_score(view) if view.face is not None else 0.0
