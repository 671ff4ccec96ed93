"""Templates from a folder of pictures, for measurements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.errors import ImageError
from core.face_recognition_engine import FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from core.types import EMBEDDING_LENGTH
from gallery.rates.identification_rates import Labelled

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


def embed_folder(
    engine: FaceRecognitionEngine, model_id: str, folder: Path, limits: ImageLimits, step: Callable[[int, int], None]
) -> Labelled:
    """Embed every picture that could be enrolled. `folder` has one folder for each person, as Labeled Faces in the Wild
    has. `step` is told how many of how many pictures are done."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _SUFFIXES)
    vectors, subjects = [], []
    for done, path in enumerate(paths, 1):
        step(done, len(paths))
        try:
            view = engine.analyse_still(path.read_bytes(), limits)
        except ImageError:
            continue
        found = engine.embed(view, model_id) if view.face is not None and not view.quality.issues else None
        if found is not None:
            vectors.append(found)
            subjects.append(path.parent.name)
    return Labelled(np.array(vectors, np.float32).reshape(-1, EMBEDDING_LENGTH), subjects)
