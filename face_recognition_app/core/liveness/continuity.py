"""Continuity of frames: a camera never repeats a picture, does not stand still, and keeps its shape."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.liveness import limits

DIGEST_LENGTH = 16
"""Hexadecimal digits of a SHA-256 that are kept; enough to tell all frames apart."""


@dataclass(frozen=True, slots=True)
class FrameFingerprint:
    """Identity of a frame: `digest` of its encoded bytes, `size` (width, height) pixels."""

    at_ms: int
    digest: str
    size: tuple[int, int]
    shows_face: bool


def may_be_one_camera(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether frames of both sizes may come from one camera, upright or on its side, larger or smaller."""
    return any(_alike(size[0] * second, size[1] * first) for first, second in (other, other[::-1]))


def _alike(one: int, another: int) -> bool:
    return abs(one - another) <= limits.SAME_SHAPE * max(one, another)


@dataclass(slots=True)
class Continuity:
    """Check that all frames come from one live camera; `failure` is the reason code once they cannot.

    Only frames that show a face are evidence, so only their bytes must be new: a covered camera, or one that starts
    with black pictures, repeats bytes harmlessly. Frames may be turned, as a phone is, or scaled, as a sender does on a
    slow network.
    """

    digests: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    still_frames: int = 0
    still_since_ms: int = 0
    failure: str | None = None

    def observe(self, fingerprint: FrameFingerprint) -> bool:
        """Judge a frame. Returns whether its bytes are new."""
        is_new = fingerprint.digest not in self.digests
        if self.failure is None:
            self.failure = self._judge(fingerprint)
        self.size = fingerprint.size
        return is_new

    def is_resized(self, size: tuple[int, int]) -> bool:
        """Whether a frame of `size` would be turned or scaled against the last one."""
        return self.size not in (None, size)

    @property
    def progress(self) -> str | None:
        return self.failure

    def resume(self) -> None:
        """Allow a reconnected client to repeat its newest RESENT_FRAMES frames, whose answers may have been lost."""
        self.digests, self.still_frames = self.digests[: -limits.RESENT_FRAMES], 0

    def _judge(self, fingerprint: FrameFingerprint) -> str | None:
        if self.size is not None and not may_be_one_camera(self.size, fingerprint.size):
            return "camera_changed"
        if not fingerprint.shows_face:
            self.still_frames, self.still_since_ms = 0, fingerprint.at_ms
            return None
        if self.digests and fingerprint.digest == self.digests[-1]:
            return self._judge_repeat(fingerprint)
        self.still_frames, self.still_since_ms = 0, fingerprint.at_ms
        if fingerprint.digest in self.digests:
            return "stream_repeated"
        self.digests = [*self.digests, fingerprint.digest][-limits.DIGESTS_KEPT :]
        return None

    def _judge_repeat(self, fingerprint: FrameFingerprint) -> str | None:
        self.still_frames += 1
        long = fingerprint.at_ms - self.still_since_ms >= limits.FROZEN_MS
        return "stream_frozen" if long and self.still_frames >= limits.FROZEN_FRAMES else None
