"""Embedding network: faces to vectors that can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.features.embedder.profile import PINNED
from core.networks import Network, Tensor, read_network
from core.types import Embedding, RgbImage


class Embedder:
    """ArcFace-style network: aligned 112x112 crop, BGR, scaled to -1..1."""

    def __init__(self, network: Network, least_length: float = PINNED.least_length) -> None:
        self._network, self._least_length = network, least_length

    @classmethod
    def load(cls, path: Path, threads: int = 1, least_length: float = PINNED.least_length) -> Embedder:
        return cls(read_network(path, threads), least_length)

    def embed(self, crop: RgbImage) -> Embedding | None:
        """Embedding of an aligned (112, 112, 3) RGB crop; None when it shows no face that can be recognised."""
        vector = self.vector(crop)
        length = float(np.linalg.norm(vector))
        return np.asarray(vector / length, np.float32) if length >= self._least_length else None

    def vector(self, crop: RgbImage) -> Tensor:
        """What the network gives for the crop, (n,), before it is normalised."""
        bgr = crop[:, :, ::-1]
        batch = (bgr.transpose(2, 0, 1)[np.newaxis].astype(np.float32) - 127.5) / 127.5
        return np.asarray(self._network.run(batch)[0], np.float32)
