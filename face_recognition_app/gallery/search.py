"""Exact search among a tenant's templates, in memory, right as of the last commit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.types import Embedding
from gallery.models import Template
from gallery.protection import protection
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Candidate:
    """The best of one subject's templates; `similarity` is the raw cosine."""

    subject_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """`vectors` (n, 512), row by row with `template_ids` (n,) and `subject_ids`."""

    version: int
    template_ids: npt.NDArray[np.int64]
    subject_ids: npt.NDArray[np.object_]
    vectors: npt.NDArray[np.float32]


_EMPTY = _Snapshot(-1, np.empty(0, np.int64), np.empty(0, object), np.empty((0, 0), np.float32))


@dataclass(slots=True)
class Gallery:
    """The templates of every tenant that was searched, brought up to date before each search.

    A tenant's version is raised in the transaction that changes a template, so one small query
    tells whether the copy in memory is still true; only new rows are read again.
    """

    model_id: str
    _snapshots: dict[int, _Snapshot] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, tenant: Tenant, probe: Embedding, limit: int) -> list[Candidate]:
        """The `limit` most similar subjects, most similar first."""
        return self.search_any(tenant, [probe], limit)

    def search_any(self, tenant: Tenant, probes: list[Embedding], limit: int) -> list[Candidate]:
        """Likewise for several probes of one face, best of all comparisons."""
        snapshot = self._current(tenant)
        if not len(snapshot.vectors):
            return []
        similarities = (snapshot.vectors @ np.stack(probes).T).max(axis=1)
        best: dict[str, float] = {}
        for row in np.argsort(-similarities):
            best.setdefault(snapshot.subject_ids[row], float(similarities[row]))
            if len(best) == limit:
                break
        return [Candidate(subject_id, similarity) for subject_id, similarity in best.items()]

    def compare(self, tenant: Tenant, subject_id: str, probe: Embedding) -> tuple[float, int] | None:
        """Best similarity to one subject's templates and their number; None when there is none."""
        snapshot = self._current(tenant)
        mine = snapshot.vectors[snapshot.subject_ids == subject_id]
        return (float((mine @ probe).max()), len(mine)) if len(mine) else None

    def size(self, tenant: Tenant) -> int:
        return len(self._current(tenant).vectors)

    def forget_deleted_tenants(self) -> None:
        """Drop the copies of templates whose tenant is gone."""
        held = list(self._snapshots)
        alive = set(Tenant.objects.filter(pk__in=held).values_list("pk", flat=True)) if held else set()
        with self._lock:
            for gone in set(held) - alive:
                self._snapshots.pop(gone, None)

    def _current(self, tenant: Tenant) -> _Snapshot:
        version = Tenant.objects.values_list("gallery_version", flat=True).get(pk=tenant.pk)
        with self._lock:
            snapshot = self._snapshots.get(tenant.pk, _EMPTY)
            if snapshot.version != version:
                snapshot = self._refresh(tenant, snapshot, version)
                self._snapshots[tenant.pk] = snapshot
        return snapshot

    def _refresh(self, tenant: Tenant, old: _Snapshot, version: int) -> _Snapshot:
        rows = Template.objects.filter(tenant=tenant, model_id=self.model_id).order_by("id")
        alive = np.fromiter(rows.values_list("id", flat=True), np.int64)
        kept = np.isin(old.template_ids, alive)
        last = int(old.template_ids[-1]) if len(old.template_ids) else 0
        new = list(rows.filter(id__gt=last).values_list("id", "subject__subject_id", "vector"))
        vectors = [protection.restore(bytes(vector), tenant) for _, _, vector in new]
        return _Snapshot(
            version,
            np.concatenate([old.template_ids[kept], np.array([row[0] for row in new], np.int64)]),
            np.concatenate([old.subject_ids[kept], np.array([row[1] for row in new], object)]),
            np.stack([*old.vectors[kept], *vectors]) if vectors else old.vectors[kept],
        )
