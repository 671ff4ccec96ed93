"""Measuring a gallery's false matches: what a calibration is made of, and the rates that come with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from audit.chain import Event, record
from database import clock
from gallery.matching import Gallery
from gallery.models import Template
from gallery.rates.calibration import Calibration, calibration_of, read_impostors
from gallery.rates.identification_rates import Compared, Labelled, Rate, compare_all
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from vocabulary.audit import AuditKind

TARGETS = (1e-1, 1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class Measured:
    """`held`: the tenant's templates of the model. `last`: its calibration until now."""

    compared: Compared
    calibration: Calibration
    held: int
    last: Calibration | None


@dataclass(frozen=True, slots=True)
class RatesAt:
    """Rates for the templates that were compared, at the threshold for a target; `calibrated`, or as shipped."""

    target: float
    calibrated: bool
    threshold: float
    fpir: Rate
    fnir: Rate


def record_comparison(tenant: Tenant, gallery: Gallery) -> None:
    """Record that the tenant's templates are compared with each other."""
    record(tenant.pk, Event(AuditKind.GALLERY_COMPARED, None, {"templates": count(tenant, gallery)}))


def measure(gallery: Gallery, tenant: Tenant | None, labelled: Labelled, step: Callable[[int, int], None]) -> Measured:
    """Compare the templates, and count the tenant's rejected pictures among those of different people.

    `step` is told how many of how many templates are done. Raises TooFewSubjects and TooFewPairs.
    """
    compared = compare_all(labelled, step)
    if tenant is not None:
        rejected = read_impostors(tenant, gallery.model_id, gallery.protection)
        compared = replace(compared, impostors=np.concatenate([compared.impostors, rejected]))
    found = compared.measure(gallery.profile.tail_shape)
    held = 0 if tenant is None else count(tenant, gallery)
    size, pairs = max(held, compared.templates), len(compared.impostors)
    calibration = Calibration(gallery.model_id, size, compared.subjects, pairs, clock.now(), found)
    return Measured(compared, calibration, held, None if tenant is None else calibration_of(tenant))


def rates(measured: Measured, gallery: Gallery, target_fpir: float) -> Iterator[RatesAt]:
    """Rates at the measured thresholds and at those of the embedder's profile, for the usual targets and this one."""
    own, compared = measured.calibration.profile(gallery.profile), measured.compared
    for target in sorted({*TARGETS, target_fpir}, reverse=True):
        for profile in (own, gallery.profile):
            threshold = threshold_for(target, compared.templates, profile)
            yield RatesAt(target, profile is own, threshold, compared.fpir(threshold), compared.fnir(threshold))


def count(tenant: Tenant, gallery: Gallery) -> int:
    """Number of the tenant's templates of the gallery's model."""
    return Template.objects.filter(tenant=tenant, model_id=gallery.model_id).count()
