"""Galleries as each worker of a machine has one."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings
from gallery.matching import Gallery, make_gallery

MODEL = "model-a"


def gallery_of(data_dir: Path, store: str, model: str = MODEL) -> Gallery:
    settings = Settings.model_validate({"FACE_DATA_DIR": data_dir, "FACE_GALLERY_STORE": store})
    return make_gallery(settings, model)
