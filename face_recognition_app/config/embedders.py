"""The embedders of a service: the one in use, and the former one while galleries are moved from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import PINNED_EMBEDDER, Settings
from core.errors import ModelError
from core.features.embedder.profile import PINNED, EmbedderProfile, read_profile
from weights.catalogue import check_digest

EMBEDDING_MODEL = "fr_feature"
MODEL_ID_DIGITS = 16
"""Leading digits of the embedding model's SHA-256 that name a gallery: templates of other models are not compared."""


@dataclass(frozen=True, slots=True)
class ChosenEmbedder:
    """`path`: None for the pinned one."""

    path: Path | None
    profile: EmbedderProfile

    @classmethod
    def at(cls, path: Path | None) -> ChosenEmbedder:
        """Raises ModelError for a network without a profile."""
        return cls(path, PINNED if path is None else read_profile(path))

    @property
    def model_id(self) -> str:
        return self.profile.sha256[:MODEL_ID_DIGITS]

    def file(self, models: Mapping[str, Path]) -> Path:
        """The network's file; `models`: the verified files of the pinned models. Raises ModelError for another file
        than the one that was measured."""
        if self.path is None:
            return models[EMBEDDING_MODEL]
        check_digest(self.path, self.profile.sha256)
        return self.path


def in_use(settings: Settings) -> ChosenEmbedder:
    """Raises ModelError."""
    return ChosenEmbedder.at(settings.embedder)


def former(settings: Settings) -> ChosenEmbedder | None:
    """Raises ModelError, also when it is the embedder in use."""
    if settings.former_embedder is None:
        return None
    chosen = ChosenEmbedder.at(None if settings.former_embedder == PINNED_EMBEDDER else Path(settings.former_embedder))
    if chosen.model_id == in_use(settings).model_id:
        raise ModelError(f"FACE_FORMER_EMBEDDER={settings.former_embedder} is the embedder in use: unset it")
    return chosen
