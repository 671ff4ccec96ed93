"""Presentation-attack detection on one picture, by one network or by two that see more and less around the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from core.imaging.alignment import square_crop
from core.minifasnet import SIDE, minifasnet
from core.networks import Network, OpenVinoNetwork, read_network
from core.pytorch_file import read_tensors
from core.types import MeshFace, RgbImage

_MAX_LOGIT = 8.0
"""A network that is too sure of itself does not outvote the other."""


@dataclass(frozen=True, slots=True)
class SpoofNetwork:
    """A network of three classes on a square crop, BGR, 0..255. `scale`: side of the crop over the face's larger side;
    `size`: of the network's input in pixels; `live_class`: which of its classes is a live face."""

    network: Network
    scale: float
    size: int
    live_class: int

    def live_logit(self, rgb: RgbImage, face: MeshFace) -> float:
        """Logarithm of the odds of a live face, at most _MAX_LOGIT either way."""
        bgr = square_crop(rgb, face, self.scale, self.size)[:, :, ::-1]
        logits = self.network.run(bgr.transpose(2, 0, 1)[np.newaxis].astype(np.float32))[0].astype(np.float64)
        others = np.logaddexp.reduce(np.delete(logits, self.live_class))
        return float(np.clip(logits[self.live_class] - others, -_MAX_LOGIT, _MAX_LOGIT))


class SpoofDetector:
    """Silent-face networks: one of FacePlugin, and MiniFASNetV2 of Minivision where its file is there."""

    def __init__(self, networks: Sequence[SpoofNetwork]) -> None:
        self.networks = tuple(networks)

    @classmethod
    def load(cls, silent_face: Path, minifasnet_file: Path | None = None, threads: int = 1) -> Self:
        """Raises ModelError."""
        networks = [SpoofNetwork(read_network(silent_face, threads), scale=1.5, size=128, live_class=0)]
        if minifasnet_file is not None:
            graph = OpenVinoNetwork(minifasnet(read_tensors(minifasnet_file)), threads)
            networks.append(SpoofNetwork(graph, scale=2.7, size=SIDE, live_class=1))
        return cls(networks)

    def live_score(self, rgb: RgbImage, face: MeshFace) -> float:
        """Probability of a live face, 0..1: from the mean of the networks' logits."""
        logit = sum(network.live_logit(rgb, face) for network in self.networks) / len(self.networks)
        return 1.0 / (1.0 + float(np.exp(-logit)))
