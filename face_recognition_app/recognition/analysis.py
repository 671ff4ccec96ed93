"""One frame of a session, on a worker thread: from what the mesh saw to an observation."""

from __future__ import annotations

import hashlib

from core.face_recognition_engine import Look
from core.face_tint import face_tint
from core.liveness.continuity import DIGEST_LENGTH, FrameMark
from core.liveness.observation import read_face
from core.types import Embedding
from recognition.flow import HARMLESS_TO_LIVENESS, Flow, Match, Observation, Plan, Purpose
from recognition.runtime import Runtime
from tenants.models import Tenant


def analyse(
    runtime: Runtime, tenant: Tenant | None, flow: Flow, look: Look, data: bytes, plan: Plan, at_ms: int
) -> Observation:
    """What a look at the frame `data` tells a session. A sandbox has no tenant and matches nobody."""
    digest = hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]
    mark = FrameMark(at_ms, digest, look.picture.size, bool(look.faces))
    if look.face is None or look.box is None:
        return Observation(mark, None, look.quality)
    issues = set(look.quality.issues)
    is_probe = plan.probe and not issues
    if not is_probe and not (plan.identity and issues <= HARMLESS_TO_LIVENESS):
        return Observation(mark, look.box, look.quality)
    live_score = runtime.engine.live_score(look) if plan.spoof else None
    moire = runtime.engine.moire(look) if plan.spoof else None
    tint = face_tint(look.rgb, look.face) if plan.tint else None
    reading = read_face(look.face, look.quality.sharpness, live_score, at_ms, look.box, moire, tint)
    traces = runtime.engine.trace(look) if plan.identity else None
    appearance = runtime.engine.appearance(look)
    if not is_probe and flow.recognises(appearance, reading):
        return Observation(mark, look.box, look.quality, reading, traces, appearance)
    embedding = runtime.engine.embed(look)
    match = _match(runtime, tenant, flow, embedding) if is_probe and tenant is not None else None
    return Observation(mark, look.box, look.quality, reading, traces, appearance, embedding, is_probe, match)


def _match(runtime: Runtime, tenant: Tenant, flow: Flow, probe: Embedding) -> Match | None:
    """The best candidate, against the threshold for all comparisons that the session may make; once there is a match,
    the same subject again."""
    gallery, settings = runtime.gallery, runtime.settings
    if flow.match is not None:
        again = gallery.verify_again(tenant, flow.match.subject_id, probe, flow.match.threshold)
        return None if again is None else Match(flow.match.subject_id, again.similarity, again.threshold)
    if flow.purpose is Purpose.AUTHENTICATION and flow.subject_id is not None:
        found = gallery.verify(tenant, flow.subject_id, probe, settings.target_fmr, tries=flow.no_match_frames)
        return None if found is None else Match(flow.subject_id, found.similarity, found.threshold)
    if flow.purpose is Purpose.IDENTIFICATION:
        likely = gallery.identify(tenant, probe, settings.target_fpir, tries=flow.no_match_frames)
        return next((Match(best.subject_id, best.similarity, likely.threshold) for best in likely.candidates), None)
    return None
