"""Galleries as each worker of a machine has one."""

from __future__ import annotations

from pathlib import Path

from config.secret import secret_key
from config.service import service_settings
from gallery.matching import Gallery, make_gallery

MODEL = "model-a"


def gallery_of(data_dir: Path, store: str = "exact", model: str = MODEL) -> Gallery:
    """A gallery whose index is in `data_dir`, with the service's master key."""
    service = service_settings()
    own = {"data_dir": data_dir, "gallery_store": store, "secret_key": secret_key(service)}
    return make_gallery(service.model_copy(update=own), model)
