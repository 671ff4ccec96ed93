"""Matching of faces: each comparison uses the threshold for the number of comparisons made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from config.settings import Settings
from core.features.embedder.profile import PINNED, EmbedderProfile
from core.types import Embedding
from gallery.calibration import calibration_of
from gallery.protection import PlainProtection, TemplateProtection
from gallery.stores.base import Candidate, Ranking, TemplateStore
from gallery.stores.makers import MAKERS
from gallery.thresholds import threshold_for
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best similarity to any of the templates, and the similarity that a match needs (raw cosines)."""

    similarity: float
    threshold: float

    @property
    def matches(self) -> bool:
        return self.similarity >= self.threshold

    def raised(self, by: float) -> Self:
        """The same with a higher threshold."""
        return replace(self, threshold=self.threshold + by)


@dataclass(frozen=True, slots=True)
class Identification:
    """The subjects most similar to a probe, most similar first, and the similarity that a match needs (raw cosines)."""

    candidates: Sequence[Candidate]
    threshold: float

    @property
    def matches(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.similarity >= self.threshold]

    def raised(self, by: float) -> Self:
        """The same with a higher threshold."""
        return replace(self, threshold=self.threshold + by)


@dataclass(frozen=True, slots=True)
class Gallery:
    """The templates of one model: how they are kept, and where they are searched.

    Every method blocks, may be called from any thread, and makes queries on that thread's database connection.
    `tries` is how many probes one impostor may show. `profile` is what was measured of the model.
    """

    model_id: str
    protection: TemplateProtection
    store: TemplateStore
    profile: EmbedderProfile = PINNED

    def verify(
        self, tenant: Tenant, subject_id: str, probe: Embedding, target_fmr: float, tries: int = 1
    ) -> Comparison | None:
        """Compare the probe with the subject's own templates; None when the subject has none."""
        templates = self.store.of_subject(tenant, subject_id)
        if not len(templates):
            return None
        return Comparison(float((templates @ probe).max()), self._threshold(target_fmr, len(templates) * tries))

    def verify_again(self, tenant: Tenant, subject_id: str, probe: Embedding, threshold: float) -> Comparison | None:
        """Do as `verify`, with the threshold of the subject's earlier match."""
        templates = self.store.of_subject(tenant, subject_id)
        return Comparison(float((templates @ probe).max()), threshold) if len(templates) else None

    def identify(
        self, tenant: Tenant, probe: Embedding, target_fpir: float, limit: int = 1, tries: int = 1
    ) -> Identification:
        """Find the `limit` most similar of all subjects."""
        ranking = self.store.search(tenant, [probe], limit)
        return Identification(ranking.candidates, self._search_threshold(tenant, target_fpir, ranking, tries))

    def has_duplicate(self, tenant: Tenant, subject_id: str, probes: Sequence[Embedding], target_fpir: float) -> bool:
        """Whether one of the probes, which show one face, matches a subject other than `subject_id`."""
        ranking = self.store.search(tenant, probes, 2)
        threshold = self._search_threshold(tenant, target_fpir, ranking, len(probes))
        others = (candidate for candidate in ranking.candidates if candidate.subject_id != subject_id)
        return any(other.similarity >= threshold for other in others)

    def has_other_face(self, tenant: Tenant, subject_id: str, probes: Sequence[Embedding], target_fmr: float) -> bool:
        """Whether the subject has templates and one of the probes does not match them."""
        templates = self.store.of_subject(tenant, subject_id)
        if not len(templates):
            return False
        similarities = (templates @ np.stack(probes).T).max(axis=0)
        return float(similarities.min()) < self._threshold(target_fmr, len(templates))

    def compare(self, one: Embedding, another: Embedding, target_fmr: float) -> Comparison:
        """Compare two pictures with each other."""
        return Comparison(float(one @ another), self._threshold(target_fmr, 1))

    def _search_threshold(self, tenant: Tenant, target_fpir: float, ranking: Ranking, tries: int) -> float:
        calibration = calibration_of(tenant)
        if calibration is None:
            return self._threshold(target_fpir, ranking.templates * tries)
        return calibration.threshold(tenant, target_fpir, ranking.templates, tries, self.model_id, self.profile)

    def _threshold(self, target: float, comparisons: int) -> float:
        return threshold_for(target, comparisons, self.profile)


def make_gallery(settings: Settings, model_id: str, profile: EmbedderProfile = PINNED) -> Gallery:
    """The gallery of a model's templates, in the store that the settings name."""
    protection = PlainProtection()
    store = MAKERS[settings.gallery_store](model_id, protection, settings.data_dir / "index")
    return Gallery(model_id, protection, store, profile)
