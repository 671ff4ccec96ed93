"""One frame of a session as the engine sees it, and the best candidate for it in the gallery."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.features.face_tint import face_tint
from core.features.values import Appearance, FrameSamples, Quality
from core.liveness.continuity import DIGEST_LENGTH
from core.liveness.observation import FaceReading, read_face
from core.types import Box, Embedding
from gallery.matching import Comparison
from gallery.similarity import one_number
from recognition.deciding import Deciding
from recognition.sessions.state import Flow, Match, Observation
from tenants.models import Tenant
from vocabulary.faces import Issue
from vocabulary.sessions import Purpose


@dataclass(frozen=True, slots=True)
class EngineSight:
    """A Sight of the frame `data` and its `look`. Each method runs its network or filter when called.

    `model_id`: of the embedder; empty for the one in use.
    """

    engine: FaceRecognitionEngine
    view: FrameView
    data: bytes
    model_id: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:DIGEST_LENGTH]

    @property
    def size(self) -> tuple[int, int]:
        return self.view.picture.size

    @property
    def quality(self) -> Quality:
        return self.view.quality

    @property
    def box(self) -> Box | None:
        return self.view.box

    def reading(self, at_ms: int, *, scored: bool, tinted: bool) -> FaceReading:
        view = self.view
        assert view.face is not None
        assert view.box is not None
        live_score = self.engine.live_score(view) if scored else None
        moire = self.engine.moire(view) if scored else None
        tint = face_tint(view.rgb, view.face) if tinted else None
        return read_face(
            view.face, view.quality.sharpness, live_score, at_ms, view.box, moire, tint, self.engine.spoof_networks
        )

    def frame_samples(self) -> FrameSamples:
        return self.engine.sample_frame(self.view)

    def appearance(self) -> Appearance:
        return self.engine.appearance(self.view)

    def embedding(self) -> Embedding | None:
        return self.engine.embed(self.view, self.model_id)

    def picture(self) -> bytes:
        return self.engine.picture(self.view)


def find_match(deciding: Deciding, tenant: Tenant, flow: Flow, seen: Observation) -> Match | None:
    """The best candidate for a frame that is a probe; None when it is no probe or there is no candidate.

    Blocks: it makes queries, and searches the gallery of the flow's embedder. Changes nothing. Raises GalleryMoved when
    the tenant's is of another one now.
    """
    if seen.probe is None:
        return None
    match = _match(deciding, tenant, flow, seen.probe)
    if match is None or Issue.FACE_COVERED not in seen.quality.issues:
        return match
    rise = deciding.gallery_with(flow.model_id).profile.covered_rise
    return replace(match, threshold=one_number(match.threshold + rise))


def _match(deciding: Deciding, tenant: Tenant, flow: Flow, probe: Embedding) -> Match | None:
    """The best candidate, with the threshold for all comparisons that the session may make. After a match only the
    matched subject is compared. A subject that feedback excludes is no candidate."""
    gallery, settings = deciding.gallery_with(flow.model_id), deciding.settings
    if flow.match is not None:
        again = gallery.verify_again(tenant, flow.match.subject_id, probe, flow.match.threshold)
        return _as_match(flow.match.subject_id, again)
    if flow.purpose is Purpose.AUTHENTICATION and flow.subject_id is not None:
        found = gallery.verify(tenant, flow.subject_id, probe, settings.target_fmr, tries=flow.no_match_frames)
        return _as_match(flow.subject_id, found)
    if flow.purpose is Purpose.IDENTIFICATION:
        likely = gallery.identify(tenant, probe, settings.target_fpir, tries=flow.no_match_frames)
        return next((Match(best.subject_id, best.similarity, likely.threshold) for best in likely.candidates), None)
    return None


def _as_match(subject_id: str, found: Comparison | None) -> Match | None:
    return None if found is None or found.excluded else Match(subject_id, found.similarity, found.threshold)
