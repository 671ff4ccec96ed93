"""An embedder of the operator's own is used with what was measured of it, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import load
from core.errors import ModelError
from core.features.embedder.profile import PINNED, write_profile
from recognition.worker import Worker
from weights.catalogue import digest_of

STRICTER = replace(PINNED, similarity=tuple(one + 0.1 for one in PINNED.similarity))


def test_a_worker_serves_with_an_embedder_of_the_operator_s_own(tmp_path: Path, worker: Worker) -> None:
    model_dir = worker.settings.model_dir
    network = tmp_path / "other.onnx"
    network.write_bytes((model_dir / "fr_feature.onnx").read_bytes())
    write_profile(network, replace(STRICTER, sha256=digest_of(network)))
    places = {"FACE_DATA_DIR": str(tmp_path), "FACE_MODEL_DIR": str(model_dir), "FACE_EMBEDDER": str(network)}
    settings = load({**places, "FACE_MESH_POOL_SIZE": "1"})
    own = Worker.start(settings)
    own.close()
    assert own.deciding.gallery.profile.similarity == STRICTER.similarity
    write_profile(network, replace(STRICTER, sha256="0" * 64))
    with pytest.raises(ModelError, match="its profile was measured with"):
        Worker.start(settings)
