"""Matching of faces: each comparison uses the threshold for the number of comparisons made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from config.settings import Settings
from core.features.embedder.profile import PINNED, EmbedderProfile
from core.types import Embedding, Embeddings
from gallery import binding, feedback
from gallery.binding import GalleryModel
from gallery.protection import TemplateProtection
from gallery.protection.master_keys import MasterKeys
from gallery.protection.sealed import SealedProtection
from gallery.protection.tenant_secrets import TenantSecrets
from gallery.rates.calibration import calibration_of
from gallery.similarity import one_number, similarities
from gallery.stores.base import Candidate, Ranking, TemplateStore
from gallery.stores.makers import MAKERS
from gallery.thresholds import threshold_for
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best similarity to any of the templates, and the similarity that a match needs (raw cosines).

    `excluded`: feedback says that such a picture does not show the subject, however similar.
    """

    similarity: float
    threshold: float
    excluded: bool = False

    @property
    def matches(self) -> bool:
        return self.similarity >= self.threshold and not self.excluded

    def raised(self, by: float) -> Self:
        """The same with a higher threshold."""
        return replace(self, threshold=one_number(self.threshold + by))


@dataclass(frozen=True, slots=True)
class Identification:
    """The subjects most similar to a probe, most similar first, and the similarity that a match needs (raw cosines).
    Subjects that feedback excludes are not among them.
    """

    candidates: Sequence[Candidate]
    threshold: float

    @property
    def matches(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.similarity >= self.threshold]

    def raised(self, by: float) -> Self:
        """The same with a higher threshold."""
        return replace(self, threshold=one_number(self.threshold + by))


@dataclass(frozen=True, slots=True)
class Gallery:
    """The templates of one model: how they are kept, and where they are searched.

    Every method blocks, may be called from any thread, and makes queries on that thread's database connection. Those
    that compare with templates raise OtherModel when the tenant's are of another embedder, GalleryMoved when they have
    been since the tenant's row was read, and KeysUnavailable.
    `tries` is how many probes one impostor may show. `profile` is what was measured of the model.
    """

    model_id: str
    protection: TemplateProtection
    store: TemplateStore
    profile: EmbedderProfile = PINNED

    @property
    def model(self) -> GalleryModel:
        return GalleryModel.of(self.model_id, self.profile)

    def verify(
        self, tenant: Tenant, subject_id: str, probe: Embedding, target_fmr: float, tries: int = 1
    ) -> Comparison | None:
        """Compare the probe with the subject's own templates; None when the subject has none."""
        binding.check(tenant, self.model)
        templates = self.store.of_subject(tenant, subject_id)
        if not len(templates):
            binding.check_again(tenant, self.model)
            return None
        return self._comparison(
            tenant, subject_id, templates, probe, self._threshold(target_fmr, len(templates) * tries)
        )

    def verify_again(self, tenant: Tenant, subject_id: str, probe: Embedding, threshold: float) -> Comparison | None:
        """Do as `verify`, with the threshold of the subject's earlier match."""
        binding.check(tenant, self.model)
        templates = self.store.of_subject(tenant, subject_id)
        if not len(templates):
            binding.check_again(tenant, self.model)
            return None
        return self._comparison(tenant, subject_id, templates, probe, threshold)

    def identify(
        self, tenant: Tenant, probe: Embedding, target_fpir: float, limit: int = 1, tries: int = 1
    ) -> Identification:
        """Find the `limit` most similar of all subjects."""
        return self._search(tenant, [probe], target_fpir, limit, tries)

    def duplicates(
        self, tenant: Tenant, subject_id: str, probes: Sequence[Embedding], target_fpir: float, limit: int = 1
    ) -> Identification:
        """The `limit` most similar subjects other than `subject_id` that one of the probes, which show one face,
        matches, without those of whom feedback says that they are not the same person."""
        found = self._search(tenant, probes, target_fpir, limit + 1, len(probes))
        others = [
            other
            for other in found.matches
            if other.subject_id != subject_id and not self._told_apart(tenant, subject_id, other, found.threshold)
        ]
        return replace(found, candidates=others[:limit])

    def nearest(self, tenant: Tenant, probes: Sequence[Embedding], target_fpir: float, tries: int) -> Identification:
        """The subject most similar to any of the probes, which may show several people, by the threshold of one of them
        with `tries` probes. Feedback is not asked: whoever is no match here is none in `duplicates`."""
        binding.check(tenant, self.model)
        ranking = self.store.search(tenant, probes, 1)
        best = [replace(one, similarity=one_number(one.similarity)) for one in ranking.candidates]
        return Identification(best, self._search_threshold(tenant, target_fpir, ranking, tries))

    def has_other_face(self, tenant: Tenant, subject_id: str, probes: Sequence[Embedding], target_fmr: float) -> bool:
        """Whether the subject has templates and one of the probes does not match them."""
        templates = self.store.of_subject(tenant, subject_id)
        if not len(templates):
            return False
        least = min(float(similarities(templates, [probe]).max()) for probe in probes)
        return least < self._threshold(target_fmr, len(templates))

    def compare(self, one: Embedding, another: Embedding, target_fmr: float) -> Comparison:
        """Compare two pictures with each other."""
        return Comparison(float(similarities(one[np.newaxis], [another])[0]), self._threshold(target_fmr, 1))

    def _comparison(
        self, tenant: Tenant, subject_id: str, templates: Embeddings, probe: Embedding, threshold: float
    ) -> Comparison:
        found = Comparison(float(similarities(templates, [probe]).max()), threshold)
        if found.matches:
            excluded = self._excluded(tenant, {subject_id: found.similarity}, [probe], threshold)
            found = replace(found, excluded=bool(excluded))
        binding.check_again(tenant, self.model)
        return found

    def _search(
        self, tenant: Tenant, probes: Sequence[Embedding], target_fpir: float, limit: int, tries: int
    ) -> Identification:
        binding.check(tenant, self.model)
        wanted = limit
        while True:
            ranking = self.store.search(tenant, probes, wanted)
            threshold = self._search_threshold(tenant, target_fpir, ranking, tries)
            found = Identification(
                [replace(one, similarity=one_number(one.similarity)) for one in ranking.candidates], threshold
            )
            excluded = self._excluded(
                tenant, {one.subject_id: one.similarity for one in found.matches}, probes, threshold
            )
            left = [one for one in found.candidates if one.subject_id not in excluded]
            if len(left) >= limit or len(found.candidates) < wanted:
                binding.check_again(tenant, self.model)
                return Identification(left[:limit], threshold)
            wanted = limit + len(excluded)

    def _told_apart(self, tenant: Tenant, subject_id: str, other: Candidate, threshold: float) -> bool:
        """Whether feedback on `subject_id` says that pictures like the other's templates do not show it."""
        probes = self.store.of_subject(tenant, other.subject_id)
        return bool(self._excluded(tenant, {subject_id: other.similarity}, list(probes), threshold))

    def _excluded(
        self, tenant: Tenant, found: Mapping[str, float], probes: Sequence[Embedding], threshold: float
    ) -> frozenset[str]:
        """The subjects of `found`, similarities by subject, that feedback excludes."""
        rejected = feedback.on_subjects(tenant, list(found), self.model_id, self.protection)
        return rejected.excludes(found, probes, threshold)

    def prepare(self, former: Gallery | None = None) -> list[str]:
        """Check that the templates in the database can be read and compared, by this gallery or the former, tenant by
        tenant. Returns a sentence for each gallery that cannot be compared while others can.

        Raises MasterKeyError, and NoGalleryFits when no gallery can be compared.
        """
        self.protection.check()
        return binding.check_all([self.model] if former is None else [self.model, former.model])

    def _search_threshold(self, tenant: Tenant, target_fpir: float, ranking: Ranking, tries: int) -> float:
        calibration = calibration_of(tenant)
        if calibration is None:
            return self._threshold(target_fpir, ranking.templates * tries)
        return calibration.threshold(tenant, target_fpir, ranking.templates, tries, self.model_id, self.profile)

    def _threshold(self, target: float, comparisons: int) -> float:
        return threshold_for(target, comparisons, self.profile)


def make_gallery(
    settings: Settings, model_id: str, profile: EmbedderProfile = PINNED, secrets: TenantSecrets | None = None
) -> Gallery:
    """The gallery of a model's templates, in the store that the settings name. Raises MasterKeyError."""
    protection = SealedProtection(model_id, secrets or TenantSecrets(MasterKeys.load(settings)))
    store = MAKERS[settings.gallery_store](model_id, protection, settings.data_dir / "index")
    return Gallery(model_id, protection, store, profile)
