"""Embedding network: faces to vectors that can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.networks import Network, read_network
from core.types import Embedding, RgbImage


class Embedder:
    """ArcFace-style network: aligned 112x112 crop, BGR, scaled to -1..1."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> Embedder:
        return cls(read_network(path, threads))

    def embed(self, crop: RgbImage) -> Embedding:
        """Embedding of an aligned (112, 112, 3) RGB crop."""
        bgr = crop[:, :, ::-1]
        batch = (bgr.transpose(2, 0, 1)[np.newaxis].astype(np.float32) - 127.5) / 127.5
        vector = self._network.run(batch)[0]
        return np.asarray(vector / np.linalg.norm(vector), np.float32)
