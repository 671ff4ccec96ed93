"""Settings, galleries and signing key: all that a decision needs beside the session's rows. Loads no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config import embedders
from config.embedders import EMBEDDING_MODEL, ChosenEmbedder
from config.settings import Settings
from gallery import binding
from gallery.matching import Gallery, make_gallery
from gallery.people import EnrollmentRules
from gallery.protection.master_keys import MasterKeys
from gallery.protection.tenant_secrets import TenantSecrets
from recognition.tokens.signing import Signer
from tenants.models import Tenant
from weights.catalogue import MODELS, verify


@dataclass(frozen=True, slots=True)
class Deciding:
    """What sessions, decisions, retention and erasure are given: one per web worker or command.

    `gallery`: of the embedder in use; `former`: of the one before, while galleries are moved from it. `model_digests`:
    the SHA-256 of each model file in use by the model's name; decision tokens carry them.
    """

    settings: Settings
    gallery: Gallery
    signer: Signer
    model_digests: Mapping[str, str]
    embedder: ChosenEmbedder
    former: Gallery | None = None

    @classmethod
    def load(cls, settings: Settings) -> Deciding:
        """Read the signing key from the data directory; the gallery maps its index at the first comparison.

        Raises ModelError for an embedder of the operator's own without a profile, and MasterKeyError.
        """
        chosen, former = embedders.in_use(settings), embedders.former(settings)
        there = [m for m in MODELS if not m.optional or verify(settings.model_dir / m.filename, m)]
        digests = {model.name: model.sha256 for model in there} | {EMBEDDING_MODEL: chosen.profile.sha256}
        secrets = TenantSecrets(MasterKeys.load(settings))
        gallery, before = (
            None if one is None else make_gallery(settings, one.model_id, one.profile, secrets)
            for one in (chosen, former)
        )
        assert gallery is not None
        return cls(settings, gallery, Signer.load(settings.data_dir), digests, chosen, before)

    @property
    def galleries(self) -> tuple[Gallery, ...]:
        return (self.gallery,) if self.former is None else (self.gallery, self.former)

    def gallery_of(self, tenant: Tenant) -> Gallery:
        """The gallery that serves the tenant now. Ask once for what belongs together: it may be moved at any time.

        Makes queries while there is a former embedder.
        """
        if self.former is None:
            return self.gallery
        return self.gallery_with(binding.chosen(tenant, [one.model for one in self.galleries]).model_id)

    def gallery_with(self, model_id: str) -> Gallery:
        """The gallery of a model that this service has; of the one in use for an empty id."""
        return next(one for one in self.galleries if not model_id or one.model_id == model_id)

    def digests_with(self, gallery: Gallery) -> dict[str, str]:
        """The digests of what a decision by this gallery was made with."""
        return {**self.model_digests, EMBEDDING_MODEL: gallery.profile.sha256}

    def prepare(self) -> list[str]:
        """Check that templates can be read and compared. Returns and raises as `Gallery.prepare`."""
        return self.gallery.prepare(self.former)

    @property
    def rules(self) -> EnrollmentRules:
        return EnrollmentRules(self.settings.duplicate_check, self.settings.target_fpir, self.settings.target_fmr)
