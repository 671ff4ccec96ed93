"""Analyses of frames, recorded once from the real engine, to be replayed to many sessions without networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.face_mesh import UNTRACKED
from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.features.face_tint import face_tint
from core.features.values import Appearance, FrameSamples, Quality
from core.imaging.frames import ImageLimits
from core.liveness.continuity import DIGEST_LENGTH
from core.liveness.observation import FaceReading, read_face
from core.types import Box, Embedding, MeshFace, RgbImage
from testkit.clips import encode_jpeg

_LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)


@dataclass(frozen=True, slots=True)
class RecordedFace:
    """Every analysis of a frame's most prominent face that a session can ask for."""

    mesh: MeshFace
    box: Box
    live_score: float
    spoof_networks: int
    moire: float | None
    tint: tuple[float, float]
    appearance: Appearance
    embedding: Embedding | None
    frame_samples: FrameSamples


@dataclass(frozen=True, slots=True)
class RecordedSight:
    """A Sight of a recorded frame. `size`: width and height in pixels; `sha256`: of the encoded bytes."""

    size: tuple[int, int]
    sha256: str
    quality: Quality
    face: RecordedFace | None

    @property
    def digest(self) -> str:
        return self.sha256[:DIGEST_LENGTH]

    @property
    def box(self) -> Box | None:
        return None if self.face is None else self.face.box

    def reading(self, at_ms: int, *, scored: bool, tinted: bool) -> FaceReading:
        face = self._known
        live_score, moire = (face.live_score, face.moire) if scored else (None, None)
        tint = face.tint if tinted else None
        return read_face(
            face.mesh, self.quality.sharpness, live_score, at_ms, face.box, moire, tint, face.spoof_networks
        )

    def frame_samples(self) -> FrameSamples:
        return self._known.frame_samples

    def appearance(self) -> Appearance:
        return self._known.appearance

    def embedding(self) -> Embedding | None:
        return self._known.embedding

    def picture(self) -> bytes:
        """Empty: a recording has no pixels."""
        return b""

    @property
    def _known(self) -> RecordedFace:
        assert self.face is not None
        return self.face


def watch(engine: FaceRecognitionEngine, frames: Iterable[RgbImage], jpeg_quality: int) -> Iterator[RecordedSight]:
    """Encode, decode and analyse each frame as the service does, tracking the face. Raises ImageError."""
    tracking = UNTRACKED
    for rgb in frames:
        data = encode_jpeg(rgb, jpeg_quality)
        view = engine.analyse(data, _LIMITS, tracking=tracking)
        tracking = view.tracking(tracking)
        yield record(engine, view, data)


def record(engine: FaceRecognitionEngine, view: FrameView, data: bytes) -> RecordedSight:
    """Record all analyses of the frame `data`, of which `view` is the engine's view."""
    digest = hashlib.sha256(data).hexdigest()
    return RecordedSight(view.picture.size, digest, view.quality, _face(engine, view))


def _face(engine: FaceRecognitionEngine, view: FrameView) -> RecordedFace | None:
    if view.face is None or view.box is None:
        return None
    return RecordedFace(
        mesh=view.face,
        box=view.box,
        live_score=engine.live_score(view),
        spoof_networks=engine.spoof_networks,
        moire=engine.moire(view),
        tint=face_tint(view.rgb, view.face),
        appearance=engine.appearance(view),
        embedding=engine.embed(view),
        frame_samples=engine.sample_frame(view),
    )
