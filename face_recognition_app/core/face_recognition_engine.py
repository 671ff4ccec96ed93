"""Facade of the compute engine; a worker computes nothing of a picture except through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from core.errors import EngineError, MeshFailed
from core.face_mesh import IN_SESSION, MAX_FACES, UNTRACKED, FaceMesh, MeshModels, Search, Tracking, mesh_factory
from core.features.appearance import appearance
from core.features.cover.measures import measures
from core.features.embedder.network import Embedder
from core.features.embedder.profile import PINNED
from core.features.frame_samples import sample_frame
from core.features.moire import moire_peak
from core.features.quality import MAX_ROLL_RECOGNISED_DEG, MIN_FACE_WIDTH_PX, assess, face_box
from core.features.spoof import SpoofDetector
from core.features.values import NOBODY, Appearance, FrameSamples, Quality
from core.features.which_face import is_ambiguous
from core.imaging.alignment import ALIGNED_SIZE, AlignedFace, align
from core.imaging.crop_file import to_png
from core.imaging.frames import Header, ImageLimits, Picture, decode_image, read_header
from core.imaging.scale import closer_looks_at_still, reduction_for_still, reduction_for_tracked
from core.pool import Pool, PoolStatistics
from core.stages import Stage, timed
from core.types import Box, Detail, Embedding, MeshFace, RgbImage

_BLANK_FRAME = np.zeros((480, 640, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class FormerEmbedder:
    """`least_length`: of its profile."""

    model_id: str
    path: Path
    least_length: float


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`models`: file of each of weights.catalogue.MODELS, by its name. `mesh_max_uses`: uses after which an instance is
    replaced, None for never. `threads`: frames computed at once; every network has a graph for each.
    `refuse_bystanders`: whether a picture with a second face is refused that is plainly not meant. `least_length`: of
    the embedder, see EmbedderProfile. `model_id`: of the embedder. `former`: an embedder that is used besides.
    """

    backend: str
    pool_size: int
    models: Mapping[str, Path]
    borrow_timeout_s: float = 60.0
    mesh_max_uses: int | None = None
    threads: int = 1
    refuse_bystanders: bool = False
    least_length: float = PINNED.least_length
    model_id: str = ""
    former: FormerEmbedder | None = None


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
    def of(cls, picture: Picture, faces: list[MeshFace], *, refuse_bystanders: bool = False) -> Self:
        if not faces:
            return cls(picture, faces, [], None, NOBODY)
        aligned = align(picture.rgb, faces[0])
        boxes = [face_box(face, picture.rgb) for face in faces]
        unclear = is_ambiguous(faces, boxes, picture.rgb, refuse_bystanders=refuse_bystanders)
        quality = assess(faces[0], aligned, boxes[0], picture.size[0], is_ambiguous=unclear)
        return cls(picture, faces, boxes, aligned, quality)

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
        return before.after(self.faces, self.picture.size).scaled(self.picture.reduction)


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
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        """Find the faces of one frame, most prominent first. Every use of a mesh goes through here.

        The instance always returns to the pool; one that raised is replaced.
        Raises PoolTimeout, PoolClosed or MeshFailed.
        """
        try:
            with self.__pool.borrow(self._borrow_timeout_s) as mesh:
                return mesh.process(rgb_frame, tracking, detail, search)
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

    def __init__(
        self,
        detector: LivenessDetector,
        embedder: Embedder,
        spoof: SpoofDetector,
        backend: str,
        *,
        refuse_bystanders: bool = False,
        by_model: Mapping[str, Embedder] | None = None,
    ) -> None:
        """`by_model`: the embedders that `embed` may be asked for, by the ids of their models."""
        self.detector = detector
        self.backend = backend
        self._refuse_bystanders = refuse_bystanders
        self._embedder = embedder
        self._by_model = by_model or {}
        self._spoof = spoof

    @classmethod
    def load(cls, config: EngineConfig) -> Self:
        """Load every model, make the pool's instances in parallel, and warm them up."""
        models = config.models
        mesh_models = MeshModels(models["face_landmarker"], models["face_landmark"])
        make_mesh = mesh_factory(config.backend, mesh_models, config.threads)
        pool = Pool(make_mesh, config.pool_size, max_uses=config.mesh_max_uses)
        embedder, former = Embedder.load(models["fr_feature"], config.threads, config.least_length), config.former
        by_model = {config.model_id: embedder}
        if former is not None:
            by_model[former.model_id] = Embedder.load(former.path, config.threads, former.least_length)
        engine = cls(
            LivenessDetector(pool, config.borrow_timeout_s),
            embedder,
            SpoofDetector.load(models["fr_liveness"], models.get("minifasnet"), config.threads),
            config.backend,
            refuse_bystanders=config.refuse_bystanders,
            by_model=by_model,
        )
        engine.warm_up()
        return engine

    def warm_up(self) -> None:
        """Do what takes longer the first time, as OpenCV's tables of colours do: 70 ms."""
        self.detector.warm_up()
        measures(np.zeros((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8))

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

        def reduction(header: Header) -> int:
            return 1 if detail is Detail.FULL else reduction_for_tracked(tracking.for_frame(header.size))

        picture = self._decode(data, limits, reduction)
        tracking = tracking.for_frame(picture.size)
        faces = self._find(picture, tracking.scaled(1 / picture.reduction), detail, IN_SESSION)
        return self._judge(picture, faces, self._refuse_bystanders)

    def analyse_still(self, data: bytes, limits: ImageLimits, *, refuse_bystanders: bool | None = None) -> FrameView:
        """Decode a single picture and find its faces: those that a first look at all of it shows, or else, at full
        scale, those that closer looks at its parts show.

        `refuse_bystanders`: None for as the engine was told. Raises as `analyse`.
        """
        picture = self._decode(data, limits, reduction_for_still)
        faces = self._find(picture, UNTRACKED, Detail.FULL, Search(MAX_FACES, closer_looks=0))
        if not faces:
            picture = self._decode(data, limits, lambda _: 1) if picture.reduction > 1 else picture
            closer_looks = closer_looks_at_still(picture.size, MIN_FACE_WIDTH_PX)
            faces = self._find(picture, UNTRACKED, Detail.FULL, Search(MAX_FACES, closer_looks))
        refuse = self._refuse_bystanders if refuse_bystanders is None else refuse_bystanders
        return self._judge(picture, faces, refuse)

    @timed(Stage.DECODE)
    def _decode(self, data: bytes, limits: ImageLimits, reduction_for: Callable[[Header], int]) -> Picture:
        header = read_header(data, limits)
        return decode_image(data, header, reduction_for(header))

    @timed(Stage.MESH)
    def _find(self, picture: Picture, tracking: Tracking, detail: Detail, search: Search) -> list[MeshFace]:
        return self.detector.safe_process(picture.rgb, tracking, detail, search)

    @timed(Stage.QUALITY)
    def _judge(self, picture: Picture, faces: list[MeshFace], refuse_bystanders: bool) -> FrameView:
        return FrameView.of(picture, faces, refuse_bystanders=refuse_bystanders)

    @timed(Stage.EMBEDDING)
    def embed(self, view: FrameView, model_id: str = "") -> Embedding | None:
        """Embedding of the most prominent face; None when that cannot be recognised. There must be a face.

        `model_id`: by which embedder; empty for the one in use. Raises KeyError for one that is not loaded.
        """
        if abs(view.faces[0].pose.roll) > MAX_ROLL_RECOGNISED_DEG:
            return None
        embedder = self._by_model[model_id] if model_id else self._embedder
        return embedder.embed(_aligned(view).crop)

    def picture(self, view: FrameView) -> bytes:
        """What `embed` computes from, as PNG: the crop of the most prominent face, of which there must be one."""
        return to_png(_aligned(view).crop)

    @timed(Stage.SAMPLES)
    def appearance(self, view: FrameView) -> Appearance:
        """Appearance of the most prominent face, of which there must be one; much cheaper than an embedding."""
        return appearance(_aligned(view).crop)

    @timed(Stage.SPOOF)
    def live_score(self, view: FrameView) -> float:
        """Anti-spoof score of the most prominent face, 0..1, larger is live. There must be a face."""
        return self._spoof.live_score(view.rgb, view.faces[0])

    @property
    def spoof_networks(self) -> int:
        """Networks that the live score comes from."""
        return len(self._spoof.networks)

    @timed(Stage.SAMPLES)
    def sample_frame(self, view: FrameView) -> FrameSamples:
        """Samples of the frame for the skin and body cues. There must be a face."""
        return sample_frame(view.rgb, view.faces[0], _aligned(view))

    @timed(Stage.MOIRE)
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
