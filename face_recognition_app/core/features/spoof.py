"""Presentation-attack detection on one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.imaging.alignment import square_crop
from core.networks import Network, read_network
from core.types import MeshFace, RgbImage

_CROP_SCALE = 1.5
_CROP_SIZE = 128
_LIVE_CLASS = 0


class SpoofDetector:
    """Silent-face network: a square crop of 1.5 times the face, BGR, 0..255, three classes."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> SpoofDetector:
        return cls(read_network(path, threads))

    def live_score(self, rgb: RgbImage, face: MeshFace) -> float:
        """Probability of a live face, 0..1 (softmax of the network's live class)."""
        bgr = square_crop(rgb, face, _CROP_SCALE, _CROP_SIZE)[:, :, ::-1]
        logits = self._network.run(bgr.transpose(2, 0, 1)[np.newaxis].astype(np.float32))[0].astype(np.float64)
        exponentials = np.exp(logits - logits.max())
        return float(exponentials[_LIVE_CLASS] / exponentials.sum())
