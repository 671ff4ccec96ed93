"""Similarities by the engine alone: every face that is most prominent in its picture, whatever its quality."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.verification.accuracy import Pair
from bench.verification.progress import Progress
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from core.types import Embedding
from weights.catalogue import ensure_models

THREADS = 2
_LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of all pictures, None where no face was found. `ms_per_image`: of one picture on its thread, with
    all threads busy."""

    vectors: dict[str, Embedding | None]
    ms_per_image: float
    images_per_second: float

    def similarity(self, pair: Pair) -> float:
        """The cosine; NaN where a face is missing."""
        left, right = self.vectors[pair.left], self.vectors[pair.right]
        return float(left @ right) if left is not None and right is not None else float("nan")


def embed_all(names: Sequence[str], folder: Path, model_dir: Path) -> Embedded:
    models = ensure_models(model_dir, lambda line: print(line, file=sys.stderr))
    engine = FaceRecognitionEngine.load(EngineConfig("openvino", THREADS, models, threads=THREADS))
    progress = Progress(len(names), "pictures")

    def embed(name: str) -> tuple[Embedding | None, float]:
        data = (folder / name).read_bytes()
        begin = time.perf_counter()
        view = engine.analyse_still(data, _LIMITS)
        vector = engine.embed(view) if view.faces else None
        took = time.perf_counter() - begin
        progress.step()
        return vector, took

    try:
        begin = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            results = list(threads.map(embed, names))
        elapsed = time.perf_counter() - begin
    finally:
        engine.close()
    return Embedded(
        {name: vector for name, (vector, _) in zip(names, results, strict=True)},
        1000 * float(np.mean([seconds for _, seconds in results])),
        len(names) / elapsed,
    )
