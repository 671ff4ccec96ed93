"""A tenant's own rates of false matches, which replace those of the embedder's profile in searches of its gallery."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import numpy as np
from django.db import transaction
from pydantic import TypeAdapter

from audit.chain import Event, record
from core.features.embedder.false_matches import FalseMatches, Similarities
from core.features.embedder.profile import EmbedderProfile
from gallery import feedback
from gallery.models import Template
from gallery.protection import Protected, TemplateProtection
from gallery.rates.identification_rates import Labelled
from gallery.similarity import similarities
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from vocabulary.audit import AuditKind

logger = logging.getLogger(__name__)

MOST_TEMPLATES = 4_096
"""Templates that are compared with each other, of subjects chosen at random: 8 million pairs."""
PAGE = 1_000
MOST_GROWTH = 4
"""A gallery with more than this many times the templates asks for rates too far beyond those that were measured."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """`templates`: of the tenant's gallery at that time. `subjects` and `pairs`: those that were compared."""

    model_id: str
    templates: int
    subjects: int
    pairs: int
    measured_at: datetime
    found: FalseMatches

    def fault(self, model_id: str, templates: int) -> str | None:
        """Why the calibration does not hold for a gallery; None when it does."""
        if model_id != self.model_id:
            return f"it was measured with the embedder {self.model_id}, and {model_id} is in use"
        if templates > MOST_GROWTH * self.templates:
            return f"it was measured with {self.templates} templates, and there are {templates}"
        return None

    def profile(self, shipped: EmbedderProfile) -> EmbedderProfile:
        found = self.found
        return replace(shipped, fmr=found.fmr, similarity=found.similarity, tail_scale=found.tail_scale)

    def threshold(
        self, tenant: Tenant, target: float, templates: int, tries: int, model_id: str, shipped: EmbedderProfile
    ) -> float:
        """The threshold of a search. A calibration that does not hold may raise the profile's, but not lower it; one of
        another embedder says nothing."""
        of_profile = threshold_for(target, templates * tries, shipped)
        fault = self.fault(model_id, templates)
        if fault is not None:
            _warn(tenant.name, fault.partition(", and")[0])
        if model_id != self.model_id:
            return of_profile
        own = threshold_for(target, templates * tries, self.profile(shipped))
        return own if fault is None else max(own, of_profile)


_ADAPTER: TypeAdapter[Calibration] = TypeAdapter(Calibration)


def calibration_of(tenant: Tenant) -> Calibration | None:
    """The stored calibration, as the tenant's row was when it was read."""
    return None if tenant.calibration is None else _ADAPTER.validate_python(tenant.calibration)


def store(tenant: Tenant, calibration: Calibration | None) -> None:
    """Store and record it, or with None go back to the embedder's profile, from the next search on."""
    tenant.calibration = None if calibration is None else _ADAPTER.dump_python(calibration, mode="json")
    with transaction.atomic():
        tenant.save(update_fields=["calibration"])
        record(tenant.pk, Event(AuditKind.POLICY_CHANGED, None, {"calibrated": calibration is not None}))


def read(tenant: Tenant, model_id: str, protection: TemplateProtection) -> Labelled:
    """The tenant's templates of the model, at most MOST_TEMPLATES."""
    rows = Template.objects.filter(tenant=tenant, model_id=model_id)
    whose = dict(rows.order_by("pk").values_list("pk", "subject__subject_id"))
    chosen = list(whose)
    if len(chosen) > MOST_TEMPLATES:
        chosen = _of_some_subjects(whose)
    vectors, subjects = [], []
    for begin in range(0, len(chosen), PAGE):
        for pk, stored in rows.filter(pk__in=chosen[begin : begin + PAGE]).values_list("pk", "vector"):
            vectors.append(Protected(bytes(stored)))
            subjects.append(whose[pk])
    return Labelled(protection.restore(vectors, tenant), subjects)


def read_impostors(tenant: Tenant, model_id: str, protection: TemplateProtection) -> Similarities:
    """Similarities of rejected pictures (gallery.feedback) to the templates of the subjects they do not show.

    They were rejected because they were similar, so they make a calibration stricter, never laxer.
    """
    rejected = feedback.everything(tenant, model_id, protection)
    rows = Template.objects.filter(tenant=tenant, model_id=model_id, subject__subject_id__in=set(rejected.subjects))
    own: dict[str, list[Protected]] = defaultdict(list)
    for subject, vector in rows.values_list("subject__subject_id", "vector"):
        own[subject].append(Protected(bytes(vector)))
    found = [
        similarities(protection.restore(own[subject], tenant), [picture])
        for subject, picture in zip(rejected.subjects, rejected.vectors, strict=True)
        if own[subject]
    ]
    return np.concatenate([np.zeros(0), *found]).astype(np.float32)


def _of_some_subjects(whose: Mapping[int, str]) -> list[int]:
    """All templates of subjects chosen at random, the same ones each time."""
    by_subject: dict[str, list[int]] = defaultdict(list)
    for pk, subject in whose.items():
        by_subject[subject].append(pk)
    names = sorted(by_subject)
    np.random.default_rng(0).shuffle(names)
    chosen: list[int] = []
    for name in names:
        if len(chosen) + len(by_subject[name]) > MOST_TEMPLATES:
            break
        chosen += by_subject[name]
    return chosen


@lru_cache(maxsize=1_024)
def _warn(tenant: str, fault: str) -> None:
    """Log once in a process for each fault."""
    logger.warning(
        "the calibration of %s holds no longer (%s): run manage.py calibrate --tenant %s",
        tenant,
        fault,
        tenant,
    )
