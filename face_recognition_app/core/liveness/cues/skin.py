"""Skin cue: light and folds on living skin change as a face moves; on a photograph, bent or squeezed, they do not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import Base64UrlBytes

from core.features.values import SkinSamples
from core.liveness import limits
from core.liveness.cues.poses import in_commonest_pose
from core.liveness.observation import FaceReading

Series = npt.NDArray[np.float64]
"""(frames, points)."""


@dataclass(slots=True)
class SkinCue:
    """`change`: largest `skin_change` of the newest samples so far; None until it was measured. `seen`: samples taken
    since the last interruption."""

    samples: list[Base64UrlBytes] = field(default_factory=list)
    poses: list[tuple[float, float]] = field(default_factory=list)
    seen: int = 0
    change: float | None = None

    def observe(self, reading: FaceReading, samples: SkinSamples) -> None:
        self.samples = [*self.samples, samples.tobytes()][-limits.SKIN_WINDOW :]
        self.poses = [*self.poses, reading.facing][-limits.SKIN_WINDOW :]
        self.seen += 1
        if self.seen >= limits.MIN_SKIN_SAMPLES and self.seen % limits.SKIN_EVERY == 0:
            measured = self._measured()
            if measured is not None:
                self.change = round(max(measured, self.change or 0.0), 5)

    @property
    def progress(self) -> None:
        """Nothing of its own: it is evidence for the person only, and changes the verdict when it is enough."""

    def interrupt(self) -> None:
        self.samples, self.poses, self.seen = [], [], 0

    def _measured(self) -> float | None:
        steady = in_commonest_pose(self.poses)
        if steady.sum() < limits.MIN_SKIN_SAMPLES // 2:
            return None
        skin = np.array([np.frombuffer(one, np.uint8) for one in self.samples], np.float64)[steady]
        seen = (skin > 0).all(axis=0)
        return skin_change(skin[:, seen]) if seen.sum() >= skin.shape[1] // 2 else None


def skin_change(skin: Series) -> float:
    """Upper quartile, over the points, of their slow deviation, as a share of the skin's brightness.

    `skin`: brightness, (frames, points). Every frame is fitted as the median frame, brighter or darker, by least
    squares without outliers; the residual is smoothed over three frames against noise.
    """
    still = np.median(skin, axis=0)
    rest = skin - _explained(skin, still, np.ones_like(skin))
    near = np.abs(rest) <= 2 * np.median(np.abs(rest), axis=1, keepdims=True) + 1e-6
    left = (skin - _explained(skin, still, near)) / (np.median(still) + 10.0)
    smooth = (left[2:] + left[1:-1] + left[:-2]) / 3
    high, low = np.percentile(smooth, [90, 10], axis=0)
    return float(np.percentile((high - low) / 2.56, 75))


def _explained(skin: Series, still: Series, weights: npt.NDArray[np.generic]) -> Series:
    """Fit of each frame as a multiple of `still` plus an offset, by least squares over the points of weight 1."""
    kept = weights.astype(np.float64)
    count = kept.sum(axis=1)
    still_mean, frame_mean = kept @ still / count, (kept * skin).sum(axis=1) / count
    variance = kept @ still**2 / count - still_mean**2
    covariance = (kept * skin) @ still / count - still_mean * frame_mean
    share = covariance / np.maximum(variance, 1e-9)
    return np.asarray(share[:, np.newaxis] * (still - still_mean[:, np.newaxis]) + frame_mean[:, np.newaxis])
