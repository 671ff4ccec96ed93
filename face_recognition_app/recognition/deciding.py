"""What decides sessions, apart from their rows: settings, gallery and signing key. It loads no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.settings import Settings
from gallery.matching import Gallery, exact_gallery
from gallery.people import EnrollmentRules
from recognition.tokens.signing import Signer
from weights.catalogue import MODELS

EMBEDDING_MODEL = "fr_feature"
MODEL_ID_DIGITS = 16
"""Of the digest of the model that made a template: templates of different models are never compared."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """Sessions, decisions, retention and erasure take this; a web worker has one, and so has a command.

    `model_digests`: the SHA-256 of each pinned model file by the model's name, which a decision's token names.
    """

    settings: Settings
    gallery: Gallery
    signer: Signer
    model_digests: Mapping[str, str]

    @classmethod
    def load(cls, settings: Settings) -> Deciding:
        """Read the signing key from the data directory; the gallery fills itself when it is asked."""
        digests = {model.name: model.sha256 for model in MODELS}
        gallery = exact_gallery(digests[EMBEDDING_MODEL][:MODEL_ID_DIGITS])
        return cls(settings, gallery, Signer.load(settings.data_dir), digests)

    @property
    def rules(self) -> EnrollmentRules:
        return EnrollmentRules(self.settings.duplicate_check, self.settings.target_fpir, self.settings.target_fmr)
