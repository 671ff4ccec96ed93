"""Facade of the compute engine; a worker computes nothing of a picture except through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from core.errors import EngineError, MeshFailed
from core.face_mesh import UNTRACKED, FaceMesh, MeshModels, Tracking, mesh_factory
from core.features.appearance import appearance
from core.features.embedding import Embedder
from core.features.frame_samples import sample_frame
from core.features.moire import moire_peak
from core.features.quality import assess, face_box
from core.features.spoof import SpoofDetector
from core.features.values import NOBODY, Appearance, FrameSamples, Quality
from core.imaging.alignment import AlignedFace, align
from core.imaging.frames import Header, ImageLimits, Picture, decode_image, read_header
from core.imaging.scale import reduction_for_still, reduction_for_tracked
from core.pool import Pool, PoolStatistics
from core.types import Box, Detail, Embedding, MeshFace, RgbImage

_BLANK_FRAME = np.zeros((480, 640, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`models`: file of each of weights.catalogue.MODELS, by its name. `mesh_max_uses`: uses after which an instance is
    replaced, None for never. `threads`: frames computed at once; every network has a graph for each.
    """

    backend: str
    pool_size: int
    models: Mapping[str, Path]
    borrow_timeout_s: float = 60.0
    mesh_max_uses: int | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True)
class FrameView:
    """One decoded frame with its faces and the quality of the most prominent one.

    `faces`: most prominent first, in pixels of `picture`. `boxes`: one for each face. `aligned`: crop of the first
    face, None without a face.
    """

    picture: Picture
    faces: list[MeshFace]
    boxes: list[Box]
    aligned: AlignedFace | None
    quality: Quality

    @classmethod
    def of(cls, picture: Picture, faces: list[MeshFace]) -> Self:
        if not faces:
            return cls(picture, faces, [], None, NOBODY)
        aligned = align(picture.rgb, faces[0])
        boxes = [face_box(face, picture.rgb) for face in faces]
        return cls(picture, faces, boxes, aligned, assess(faces[0], aligned, boxes, picture.size[0]))

    @property
    def rgb(self) -> RgbImage:
        return self.picture.rgb

    @property
    def face(self) -> MeshFace | None:
        return self.faces[0] if self.faces else None

    @property
    def box(self) -> Box | None:
        return self.boxes[0] if self.boxes else None

    def each_face(self) -> list[tuple[Box, Quality]]:
        """Box and quality of every face, judged without the others."""
        alone = (FrameView.of(self.picture, [face]) for face in self.faces)
        return [(view.boxes[0], view.quality) for view in alone]

    def tracking(self, before: Tracking) -> Tracking:
        """Tracking for the next frame; `before` is the tracking that this frame was analysed with."""
        return before.after(self.faces).scaled(self.picture.reduction)


class LivenessDetector:
    """Owns the bounded pool of FaceMesh instances."""

    def __init__(self, pool: Pool[FaceMesh], borrow_timeout_s: float) -> None:
        self.__pool = pool
        self._borrow_timeout_s = borrow_timeout_s

    def safe_process(
        self,
        rgb_frame: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
    ) -> list[MeshFace]:
        """Find the faces of one frame, most prominent first. Every use of a mesh goes through here.

        The instance always returns to the pool; one that raised is replaced.
        Raises PoolTimeout, PoolClosed or MeshFailed.
        """
        try:
            with self.__pool.borrow(self._borrow_timeout_s) as mesh:
                return mesh.process(rgb_frame, tracking, detail)
        except EngineError:
            raise
        except Exception as error:
            raise MeshFailed(f"the mesh raised {type(error).__name__}") from error

    def pool_status(self) -> PoolStatistics:
        return self.__pool.statistics()

    def warm_up(self) -> None:
        self.__pool.fill()
        self.safe_process(_BLANK_FRAME)

    def close(self) -> None:
        self.__pool.close()


class FaceRecognitionEngine:
    """Decoding, mesh, quality, anti-spoof and embedding of one worker. Every method blocks."""

    def __init__(self, detector: LivenessDetector, embedder: Embedder, spoof: SpoofDetector, backend: str) -> None:
        self.detector = detector
        self.backend = backend
        self._embedder = embedder
        self._spoof = spoof

    @classmethod
    def load(cls, config: EngineConfig) -> Self:
        """Load every model, make the pool's instances in parallel, and warm them up."""
        models = config.models
        mesh_models = MeshModels(models["face_landmarker"], models["face_landmark"])
        make_mesh = mesh_factory(config.backend, mesh_models, config.threads)
        pool = Pool(make_mesh, config.pool_size, max_uses=config.mesh_max_uses)
        engine = cls(
            LivenessDetector(pool, config.borrow_timeout_s),
            Embedder.load(models["fr_feature"], config.threads),
            SpoofDetector.load(models["fr_liveness"], config.threads),
            config.backend,
        )
        engine.detector.warm_up()
        return engine

    def analyse(
        self,
        data: bytes,
        limits: ImageLimits,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
    ) -> FrameView:
        """Decode a session's frame, at full scale with FULL `detail`, reduced if possible with LIGHT; find its faces.

        Raises ImageError, PoolTimeout, PoolClosed or MeshFailed.
        """
        reduction = 1 if detail is Detail.FULL else reduction_for_tracked(tracking)
        return self._analyse(self._decode(data, limits, lambda _: reduction), tracking, detail)

    def analyse_still(self, data: bytes, limits: ImageLimits) -> FrameView:
        """Decode a single picture at the scale that its smallest face needs, and find its faces. Raises as `look`."""
        return self._analyse(self._decode(data, limits, reduction_for_still), UNTRACKED, Detail.FULL)

    def _decode(self, data: bytes, limits: ImageLimits, reduction_for: Callable[[Header], int]) -> Picture:
        header = read_header(data, limits)
        return decode_image(data, header, reduction_for(header))

    def _analyse(self, picture: Picture, tracking: Tracking, detail: Detail) -> FrameView:
        return FrameView.of(picture, self._find(picture, tracking, detail))

    def _find(self, picture: Picture, tracking: Tracking, detail: Detail) -> list[MeshFace]:
        return self.detector.safe_process(picture.rgb, tracking.scaled(1 / picture.reduction), detail)

    def embed(self, view: FrameView) -> Embedding:
        """Embedding of the most prominent face, of which there must be one."""
        return self._embedder.embed(_aligned(view).crop)

    def appearance(self, view: FrameView) -> Appearance:
        """Appearance of the most prominent face, of which there must be one; much cheaper than an embedding."""
        return appearance(_aligned(view).crop)

    def live_score(self, view: FrameView) -> float:
        """Anti-spoof score of the most prominent face, 0..1, larger is live. There must be a face."""
        return self._spoof.live_score(view.rgb, view.faces[0])

    def sample_frame(self, view: FrameView) -> FrameSamples:
        """Samples of the frame for the skin and body cues. There must be a face."""
        return sample_frame(view.rgb, view.faces[0], _aligned(view))

    def moire(self, view: FrameView) -> float | None:
        """Height of moire in the face, decades; None for a frame that is too small. There must be a face."""
        return moire_peak(view.rgb, view.faces[0])

    def pool_status(self) -> PoolStatistics:
        return self.detector.pool_status()

    def close(self) -> None:
        self.detector.close()


def _aligned(view: FrameView) -> AlignedFace:
    assert view.aligned is not None
    return view.aligned
