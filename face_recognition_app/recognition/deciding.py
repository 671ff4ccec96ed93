"""Settings, gallery and signing key: all that a decision needs beside the session's rows. Loads no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.settings import Settings
from core.features.embedder.profile import PINNED, read_profile
from gallery.matching import Gallery, make_gallery
from gallery.people import EnrollmentRules
from recognition.tokens.signing import Signer
from weights.catalogue import MODELS, verify

EMBEDDING_MODEL = "fr_feature"
MODEL_ID_DIGITS = 16
"""Leading digits of the embedding model's SHA-256 that name a gallery: templates of other models are not compared."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What sessions, decisions, retention and erasure are given: one per web worker or command.

    `model_digests`: the SHA-256 of each model file in use by the model's name; decision tokens carry them.
    """

    settings: Settings
    gallery: Gallery
    signer: Signer
    model_digests: Mapping[str, str]

    @classmethod
    def load(cls, settings: Settings) -> Deciding:
        """Read the signing key from the data directory; the gallery maps its index at the first comparison.

        Raises ModelError for an embedder of the operator's own without a profile, and MasterKeyError.
        """
        profile = PINNED if settings.embedder is None else read_profile(settings.embedder)
        there = [m for m in MODELS if not m.optional or verify(settings.model_dir / m.filename, m)]
        digests = {model.name: model.sha256 for model in there} | {EMBEDDING_MODEL: profile.sha256}
        gallery = make_gallery(settings, profile.sha256[:MODEL_ID_DIGITS], profile)
        return cls(settings, gallery, Signer.load(settings.data_dir), digests)

    @property
    def rules(self) -> EnrollmentRules:
        return EnrollmentRules(self.settings.duplicate_check, self.settings.target_fpir, self.settings.target_fmr)
