"""Search for people who are enrolled under several subjects, across a tenant's whole gallery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from audit.chain import Event, record
from gallery.matching import Gallery
from gallery.models import Subject
from gallery.records.references import record_duplicate
from tenants.models import Tenant
from vocabulary.audit import AuditKind

PAGE = 500
"""Subjects that are read by one query."""
MOST_OTHERS = 10
"""Most subjects that are reported with the same face as one other."""


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two subjects with one face; `similarity` of their most similar templates, and the threshold it reached."""

    subjects: tuple[str, str]
    display_names: tuple[str, str]
    similarity: float
    threshold: float


@dataclass(slots=True)
class Searched:
    """How far a search has come: `done` of `total` subjects, the primary key of the last, and the pairs found."""

    total: int
    done: int = 0
    last: int = 0
    pairs: set[frozenset[str]] = field(default_factory=set)


def begin(tenant: Tenant) -> Searched:
    """Record that a search begins."""
    total = Subject.objects.filter(tenant=tenant).count()
    record(tenant.pk, Event(AuditKind.GALLERY_COMPARED, None, {"subjects": total}))
    return Searched(total)


def find(
    tenant: Tenant, gallery: Gallery, target_fpir: float, step: Callable[[int, int], None], searched: Searched
) -> Iterator[DuplicatePair]:
    """Search the gallery with the templates of each subject, as its enrolment did. Each pair is found once.

    Goes on from `searched`, which moves on with each subject, before `step` is told how many of how many are done. Each
    pair is recorded before it is told. Memory holds a page of subjects, and the pairs found. Subjects that come or go
    meanwhile may be missed.
    """
    subjects = Subject.objects.filter(tenant=tenant).order_by("pk")
    while page := list(subjects.filter(pk__gt=searched.last).values_list("pk", "subject_id")[:PAGE]):
        for pk, subject_id in page:
            for pair in _of_subject(tenant, subject_id, gallery, target_fpir):
                if frozenset(pair.subjects) not in searched.pairs:
                    record_duplicate(tenant, *pair.subjects)
                    yield pair
                    searched.pairs.add(frozenset(pair.subjects))
            searched.last, searched.done = pk, searched.done + 1
            step(min(searched.done, searched.total), searched.total)


def _of_subject(tenant: Tenant, subject_id: str, gallery: Gallery, target_fpir: float) -> list[DuplicatePair]:
    templates = gallery.store.of_subject(tenant, subject_id)
    if not len(templates):
        return []
    found = gallery.duplicates(tenant, subject_id, list(templates), target_fpir, MOST_OTHERS)
    if not found.candidates:
        return []
    involved = [subject_id, *(other.subject_id for other in found.candidates)]
    rows = Subject.objects.filter(tenant=tenant, subject_id__in=involved)
    names = dict(rows.values_list("subject_id", "display_name"))
    return [
        DuplicatePair(
            (subject_id, other.subject_id),
            (names.get(subject_id, ""), names.get(other.subject_id, "")),
            other.similarity,
            found.threshold,
        )
        for other in found.candidates
    ]
