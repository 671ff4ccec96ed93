"""Exact search in memory, up to date with the last commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import QuerySet

from core.types import Embedding, Embeddings
from gallery import changes
from gallery.models import Template
from gallery.protection import Protected, TemplateProtection
from gallery.stores.base import Candidate, Ranking, StoreStatistics
from gallery.stores.rows import Rows
from tenants.models import Tenant

PAGE = 1_000
"""Templates read by one query."""


@dataclass(slots=True)
class _Copy:
    """One tenant's templates as of a revision. Hold the lock to use them; each tenant has its own."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    revision: int = -1
    rows: Rows = field(default_factory=Rows)


@dataclass(frozen=True, slots=True)
class _Page:
    """Some templates, row by row."""

    ids: Sequence[int]
    subjects: Sequence[str]
    vectors: Embeddings


class ExactStore:
    """Compares a probe with every template. A small query before each search reads the changes since the last one.

    In a transaction, which may be rolled back, a search uses the changes beside the copy and does not keep them.
    """

    def __init__(self, model_id: str, protection: TemplateProtection) -> None:
        self._model_id = model_id
        self._protection = protection
        self._copies: dict[int, _Copy] = {}
        self._making = threading.Lock()

    def refresh(self, tenant: Tenant) -> None:
        if connection.in_atomic_block:
            return
        copy = self._copy_of(tenant)
        with copy.lock:
            self._bring_up_to_date(tenant, copy)

    def search(self, tenant: Tenant, probes: Sequence[Embedding], limit: int) -> Ranking:
        copy = self._copy_of(tenant)
        with copy.lock:
            if connection.in_atomic_block:
                return self._search_beside(tenant, copy, probes, limit)
            self._bring_up_to_date(tenant, copy)
            return _ranking(copy.rows.best(probes, limit), len(copy.rows))

    def of_subject(self, tenant: Tenant, subject_id: str) -> Embeddings:
        own = Template.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id, model_id=self._model_id)
        return self._restored([bytes(vector) for vector in own.values_list("vector", flat=True)], tenant)

    def catch_up(self) -> None:
        held = dict(self._copies)
        living = Tenant.objects.in_bulk(list(held))
        for pk, copy in held.items():
            if pk not in living:
                self._copies.pop(pk, None)
            elif copy.revision != living[pk].gallery_version:
                self.refresh(living[pk])

    def statistics(self) -> StoreStatistics:
        copies = list(self._copies.values())
        return StoreStatistics(
            len(copies), sum(len(copy.rows) for copy in copies), sum(copy.rows.memory_bytes for copy in copies)
        )

    def _copy_of(self, tenant: Tenant) -> _Copy:
        with self._making:
            return self._copies.setdefault(tenant.pk, _Copy())

    def _bring_up_to_date(self, tenant: Tenant, copy: _Copy) -> None:
        revision = changes.revision_of(tenant)
        changed = changes.between(tenant, copy.revision, revision)
        if changed is None:
            copy.rows = self._read_all(tenant)
        else:
            pages = list(self._read(tenant, changed.added, copy.rows))
            copy.rows.remove(changed.removed)
            for page in pages:
                copy.rows.add(page.ids, page.subjects, page.vectors)
            if copy.rows.mostly_gone:
                copy.rows = copy.rows.compacted()
        copy.revision = revision

    def _search_beside(self, tenant: Tenant, copy: _Copy, probes: Sequence[Embedding], limit: int) -> Ranking:
        changed = changes.between(tenant, copy.revision, changes.revision_of(tenant))
        if changed is None:
            everything = self._read_all(tenant)
            return _ranking(everything.best(probes, limit), len(everything))
        added = Rows()
        for page in self._read(tenant, changed.added, copy.rows):
            added.add(page.ids, page.subjects, page.vectors)
        best = copy.rows.best(probes, limit, hidden=changed.removed)
        for subject_id, similarity in added.best(probes, limit).items():
            best[subject_id] = max(similarity, best.get(subject_id, similarity))
        hidden = int(copy.rows.knows(changed.removed).sum())
        ranking = _ranking(best, len(copy.rows) - hidden + len(added))
        return Ranking(ranking.candidates[:limit], ranking.templates)

    def _read_all(self, tenant: Tenant) -> Rows:
        """Read all templates page by page. The revision was read before: the log has all later changes."""
        rows, last = Rows(), 0
        while page := self._page(self._templates(tenant).filter(pk__gt=last), tenant):
            rows.add(page.ids, page.subjects, page.vectors)
            last = page.ids[-1]
        return rows

    def _read(self, tenant: Tenant, ids: Sequence[int], known: Rows) -> Iterator[_Page]:
        """Read the templates of `ids` that are not known yet and still exist."""
        missing = [pk for pk, is_known in zip(ids, known.knows(ids), strict=True) if not is_known]
        for begin in range(0, len(missing), PAGE):
            if page := self._page(self._templates(tenant).filter(pk__in=missing[begin : begin + PAGE]), tenant):
                yield page

    def _page(self, templates: QuerySet[Template], tenant: Tenant) -> _Page | None:
        found = list(templates.order_by("pk").values_list("pk", "subject__subject_id", "vector")[:PAGE])
        if not found:
            return None
        ids, subjects, stored = zip(*found, strict=True)
        return _Page(ids, subjects, self._restored(stored, tenant))

    def _templates(self, tenant: Tenant) -> QuerySet[Template]:
        return Template.objects.filter(tenant=tenant, model_id=self._model_id)

    def _restored(self, stored: Sequence[bytes], tenant: Tenant) -> Embeddings:
        return self._protection.restore([Protected(bytes(one)) for one in stored], tenant)


def _ranking(best: dict[str, float], templates: int) -> Ranking:
    in_order = sorted(best.items(), key=lambda found: -found[1])
    return Ranking([Candidate(subject_id, similarity) for subject_id, similarity in in_order], templates)
