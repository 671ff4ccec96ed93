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
    """One tenant's templates as of a revision."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held to search `rows` and to change rows or revision, never during a query."""
    updating: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that reads what is missing. Nobody else changes rows or revision meanwhile."""
    revision: int = -1
    rows: Rows = field(default_factory=Rows)

    def missing(self, ids: Sequence[int]) -> list[int]:
        with self.lock:
            return [pk for pk, is_known in zip(ids, self.rows.knows(ids), strict=True) if not is_known]


@dataclass(frozen=True, slots=True)
class _Page:
    """Some templates, row by row."""

    ids: Sequence[int]
    subjects: Sequence[str]
    vectors: Embeddings


class ExactStore:
    """Compares a probe with every template. A small query before each search reads the changes since the last one.

    One thread reads what changed; those that need the same wait for it, and read nothing themselves. In a transaction,
    which may be rolled back, a search uses the changes beside the copy and does not keep them.
    """

    def __init__(self, model_id: str, protection: TemplateProtection) -> None:
        self._model_id = model_id
        self._protection = protection
        self._copies: dict[int, _Copy] = {}
        self._making = threading.Lock()

    def add(self, tenant: Tenant, templates: Sequence[Template]) -> None:
        pass

    def refresh(self, tenant: Tenant) -> None:
        if connection.in_atomic_block:
            return
        self._bring_up_to_date(tenant, self._copy_of(tenant))

    def search(self, tenant: Tenant, probes: Sequence[Embedding], limit: int) -> Ranking:
        copy = self._copy_of(tenant)
        if connection.in_atomic_block:
            return self._search_beside(tenant, copy, probes, limit)
        self._bring_up_to_date(tenant, copy)
        with copy.lock:
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
        """Return when the copy has every change that was committed before the call."""
        held = copy.revision
        revision, changed = changes.since(tenant, held)
        if revision == held:
            return
        with copy.updating:
            # A revision below `held` is of another database, put in the place of the one before.
            if copy.revision == revision or held < revision < copy.revision:
                return
            if copy.revision != held:
                revision, changed = changes.since(tenant, copy.revision)
            self._follow(tenant, copy, revision, changed)

    def _follow(self, tenant: Tenant, copy: _Copy, revision: int, changed: changes.Changes | None) -> None:
        """Apply what `changed` since the copy's revision, up to `revision`; None for too much."""
        if changed is None:
            rows = self._read_all(tenant)
            with copy.lock:
                copy.rows, copy.revision = rows, revision
            return
        pages = list(self._read(tenant, copy.missing(changed.added)))
        with copy.lock:
            copy.rows.remove(changed.removed)
            for page in pages:
                copy.rows.add(page.ids, page.subjects, page.vectors)
            copy.revision = revision
        if copy.rows.mostly_gone:
            compacted = copy.rows.compacted()
            with copy.lock:
                copy.rows = compacted

    def _search_beside(self, tenant: Tenant, copy: _Copy, probes: Sequence[Embedding], limit: int) -> Ranking:
        while True:
            since = copy.revision
            _, changed = changes.since(tenant, since)
            if changed is None:
                everything = self._read_all(tenant)
                return _ranking(everything.best(probes, limit), len(everything))
            added = Rows()
            for page in self._read(tenant, copy.missing(changed.added)):
                added.add(page.ids, page.subjects, page.vectors)
            with copy.lock:
                if copy.revision == since:  # Otherwise the changes are those of another copy.
                    return _best_of_both(copy.rows, changed, added, probes, limit)

    def _read_all(self, tenant: Tenant) -> Rows:
        """Read all templates page by page. The revision was read before: the log has all later changes."""
        rows, last = Rows(), 0
        while page := self._page(self._templates(tenant).filter(pk__gt=last), tenant):
            rows.add(page.ids, page.subjects, page.vectors)
            last = page.ids[-1]
        return rows

    def _read(self, tenant: Tenant, missing: Sequence[int]) -> Iterator[_Page]:
        """Read the templates with these primary keys that still exist."""
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


def _best_of_both(
    rows: Rows, changed: changes.Changes, added: Rows, probes: Sequence[Embedding], limit: int
) -> Ranking:
    """Rank `rows` without what was removed, together with what was added."""
    best = rows.best(probes, limit, hidden=changed.removed)
    for subject_id, similarity in added.best(probes, limit).items():
        best[subject_id] = max(similarity, best.get(subject_id, similarity))
    hidden = int(rows.knows(changed.removed).sum())
    ranking = _ranking(best, len(rows) - hidden + len(added))
    return Ranking(ranking.candidates[:limit], ranking.templates)
