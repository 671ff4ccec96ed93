"""What one frame shows, and the rule for how much of it counts: the same for the service, recordings and tests."""

from __future__ import annotations

from typing import Protocol

from core.features.values import Appearance, Quality, Traces
from core.liveness.continuity import FrameMark
from core.liveness.observation import FaceReading
from core.types import Box, Embedding
from recognition.sessions.state import HARMLESS_TO_LIVENESS, FaceSeen, Flow, Observation, Plan


class Sight(Protocol):
    """One frame. What a method returns may be computed by the call; it is called only where `box` is not None."""

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
        """Around the most prominent face; None where there is none."""

    def reading(self, at_ms: int, *, scored: bool, tinted: bool) -> FaceReading:
        """Measures of the face: with `scored` also `live_score` and `moire`, with `tinted` also `tint`."""

    def traces(self) -> Traces: ...

    def appearance(self) -> Appearance: ...

    def embedding(self) -> Embedding: ...


def observe(flow: Flow, plan: Plan, sight: Sight) -> Observation:
    """Ask a frame for what `plan`, the flow's own for this frame, needs of it. Changes nothing.

    A frame whose issues rule it out shows its face's place and quality only. One that shows plainly the person of
    the last embedding is not embedded again.
    """
    mark = mark_of(sight, plan.at_ms)
    issues = set(sight.quality.issues)
    is_probe = plan.probe and not issues
    counts = is_probe or (plan.identity and issues <= HARMLESS_TO_LIVENESS)
    if sight.box is None or not counts:
        return Observation(mark, sight.box, sight.quality)
    reading = sight.reading(plan.at_ms, scored=plan.spoof, tinted=plan.tint)
    traces = sight.traces() if plan.identity else None
    appearance = sight.appearance()
    known = not is_probe and flow.recognises(appearance, reading)
    embedding = None if known else sight.embedding()
    return Observation(mark, sight.box, sight.quality, FaceSeen(reading, traces, appearance, embedding, is_probe))


def mark_of(sight: Sight, at_ms: int) -> FrameMark:
    """What tells the frame of `at_ms` from every other, whether it counts or not."""
    return FrameMark(at_ms, sight.digest, sight.size, sight.box is not None)
