"""Who of many people may be enrolled under another id: asked of all at once, since hardly anybody is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from core.types import Embedding
from gallery.matching import Gallery, Identification
from gallery.people import Sample
from tenants.models import Tenant

ROUNDING = 1e-6
"""More than a similarity loses by its rounding."""


class Shown(Protocol):
    """A person and the samples of the face."""

    @property
    def subject_id(self) -> str: ...

    @property
    def samples(self) -> Sequence[Sample]: ...


def possible_doubles(
    tenant: Tenant, people: Sequence[Shown], asked: Collection[str], gallery: Gallery, target_fpir: float
) -> set[str]:
    """Those of `asked` for whom a search of their own might find somebody: in the gallery, or among those before them.

    Never too few: every comparison is by the lowest threshold that one of them could have. Runs in the transaction that
    holds the tenant's lock.
    """
    candidates = [one for one in people if one.subject_id in asked]
    if not candidates:
        return set()
    found = _nearest(tenant, candidates, gallery, target_fpir)
    doubles = _like_earlier(people, found.threshold)
    return doubles | _like_somebody(tenant, candidates, found, gallery, target_fpir)


def _like_somebody(
    tenant: Tenant, people: Sequence[Shown], found: Identification, gallery: Gallery, target_fpir: float
) -> set[str]:
    """Those like somebody in the gallery. `found`: the nearest to all; if it matches, each half is asked for."""
    if not found.matches:
        return set()
    if len(people) == 1:
        return {people[0].subject_id}
    middle = len(people) // 2
    doubles: set[str] = set()
    for half in (people[:middle], people[middle:]):
        nearest = _nearest(tenant, half, gallery, target_fpir)
        doubles |= _like_somebody(tenant, half, nearest, gallery, target_fpir)
    return doubles


def _nearest(tenant: Tenant, people: Sequence[Shown], gallery: Gallery, target_fpir: float) -> Identification:
    tries = min(len(one.samples) for one in people)
    return gallery.nearest(tenant, _probes(people), target_fpir, tries)


def _like_earlier(people: Sequence[Shown], threshold: float) -> set[str]:
    owners = np.repeat(np.arange(len(people)), [len(one.samples) for one in people])
    faces = np.stack(_probes(people))
    later, earlier = np.nonzero(faces @ faces.T >= threshold - ROUNDING)
    alike = owners[later] > owners[earlier]
    return {people[owner].subject_id for owner in set(owners[later[alike]].tolist())}


def _probes(people: Sequence[Shown]) -> list[Embedding]:
    return [sample.embedding for one in people for sample in one.samples]
