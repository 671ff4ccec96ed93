"""Content of one frame, and the rule for how much of it counts. Used by the service, recordings and tests alike."""

from __future__ import annotations

from typing import Protocol

from core.features.values import Appearance, FrameSamples, Quality
from core.liveness.continuity import FrameFingerprint
from core.liveness.observation import FaceReading
from core.types import Box, Embedding
from recognition.sessions.state import HARMLESS_TO_LIVENESS, FaceSeen, Flow, FramePlan, Observation


class Sight(Protocol):
    """One frame. Methods may compute their result when called; they are called only when `box` is not None."""

    @property
    def digest(self) -> str:
        """The first DIGEST_LENGTH hexadecimal digits of the SHA-256 of the encoded bytes."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the encoded picture, in pixels."""

    @property
    def quality(self) -> Quality: ...

    @property
    def box(self) -> Box | None:
        """Box around the most prominent face; None without a face."""

    def reading(self, at_ms: int, *, scored: bool, tinted: bool) -> FaceReading:
        """Measures of the face: with `scored` also `live_score` and `moire`, with `tinted` also `tint`."""

    def frame_samples(self) -> FrameSamples: ...

    def appearance(self) -> Appearance: ...

    def embedding(self) -> Embedding | None:
        """None where nobody can be recognised."""

    def picture(self) -> bytes:
        """The aligned crop that the embedding is computed from, as PNG."""


def observe(flow: Flow, plan: FramePlan, sight: Sight) -> Observation:
    """Compute what `plan`, the flow's plan for this frame, needs. Changes nothing.

    A frame ruled out by its issues, or in which nobody can be recognised, yields only place and quality of its face. A
    frame that plainly shows the person of the last embedding is not embedded again.
    """
    fingerprint = fingerprint_of(sight, plan.at_ms)
    issues = flow.faults(sight.quality)
    is_probe = plan.probe and not issues
    counts = is_probe or (plan.identity and issues <= HARMLESS_TO_LIVENESS)
    if sight.box is None or not counts:
        return Observation(fingerprint, sight.box, sight.quality)
    reading = sight.reading(plan.at_ms, scored=plan.spoof, tinted=plan.tint)
    frame_samples = sight.frame_samples() if plan.identity else None
    appearance = sight.appearance()
    known = not is_probe and flow.recognises(appearance, reading)
    embedding = None if known else sight.embedding()
    if embedding is None and not known:
        return Observation(fingerprint, sight.box, sight.quality)
    picture = sight.picture() if is_probe and plan.picture else b""
    seen = FaceSeen(reading, frame_samples, appearance, embedding, is_probe, picture)
    return Observation(fingerprint, sight.box, sight.quality, seen)


def fingerprint_of(sight: Sight, at_ms: int) -> FrameFingerprint:
    """Identity of the frame of `at_ms`, whether the frame counts or not."""
    return FrameFingerprint(at_ms, sight.digest, sight.size, sight.box is not None)
