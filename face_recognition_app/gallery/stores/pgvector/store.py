"""Search in PostgreSQL, where every process and machine sees what was committed last."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import DatabaseError, connection, transaction

from core.types import Embedding, Embeddings
from database.connections import good_connection
from database.outages import RETRY_AFTER_MS
from gallery.models import Subject, Template
from gallery.protection import Protected, TemplateProtection
from gallery.protection.errors import KeysUnavailable
from gallery.similarity import similarities
from gallery.stores.base import Advance, Candidate, Ranking, StoreStatistics
from gallery.stores.pgvector import graphs
from gallery.stores.pgvector.halves import to_text
from gallery.stores.pgvector.projections import Projection, Projections
from tenants.models import Tenant
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

MORE_THAN_ASKED = 64
"""Templates that the database returns beyond the limit: it compares in float16, so their order is not final."""
MAX_FROM_GRAPH = 1_000
"""Most templates that are taken from a graph: pgvector's own limit of hnsw.ef_search."""
CONSIDERED_IN_GRAPH = 400
"""Least hnsw.ef_search, the candidates that a search in a graph keeps. With 200 it misses 1.6 % at similarity 0.6."""
FIRST_USE_S = 2.0
"""Time for which a search projects what is missing. It then raises Unavailable; the next search goes on there."""
ATTEMPTS = 3
"""Searches of a projection that may be replaced while it is being searched."""

_SETTINGS = (
    "SELECT set_config('jit', 'off', true), set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('hnsw.ef_search', %s, true)"
)
"""Settings that end with the transaction. Compiling a query takes longer than the query."""

_NEAREST = """
    (SELECT template_id FROM gallery_vector WHERE projection_id = {projection}
     ORDER BY {order} LIMIT {limit})
"""
_BY_GRAPH = "vector <#> %s::halfvec"
_ONE_BY_ONE = "(vector <#> %s::halfvec) + 0"
"""An expression that no index is for."""

_SEARCH = f"""
    SELECT projection.vectors, subject.subject_id, template.vector
    FROM gallery_projection projection
    LEFT JOIN ({{nearest}}) nearest ON true
    LEFT JOIN {Template._meta.db_table} template ON template.id = nearest.template_id
    LEFT JOIN {Subject._meta.db_table} subject ON subject.id = template.subject_id
    WHERE projection.id = {{projection}} AND projection.templates = projection.vectors
"""  # noqa: S608  the names are the models' own
"""One statement, and so one view of the database, returns candidates and whether the projection was complete."""


@dataclass(frozen=True, slots=True)
class _Nearest:
    """Templates nearest to any of the probes, row by row, and the number of those that were searched."""

    searched: int
    subjects: Sequence[str]
    templates: Sequence[Protected]


class PgvectorStore:
    """Compares in the database, and once more here, exactly, with the best that the database returns.

    A small gallery is compared template by template, a large one through its graph. This process keeps nothing.
    """

    resumes_rebuilds = True

    def __init__(self, model_id: str, protection: TemplateProtection) -> None:
        self._model_id = model_id
        self._protection = protection
        self._projections = Projections(model_id, protection)
        self._renewal: threading.Thread | None = None

    def add(self, tenant: Tenant, templates: Sequence[Template]) -> None:
        self._projections.add(tenant, templates)

    def moved(self, tenant: Tenant) -> None:
        self._projections.begin_alone(tenant)

    def refresh(self, tenant: Tenant) -> None:
        if not connection.in_atomic_block:
            self._complete(tenant)

    def search(self, tenant: Tenant, probes: Sequence[Embedding], limit: int) -> Ranking:
        for _ in range(ATTEMPTS):
            ranking = self._search_in(self._complete(tenant), tenant, probes, limit)
            if ranking is not None:
                return ranking
        raise _being_prepared()

    def of_subject(self, tenant: Tenant, subject_id: str) -> Embeddings:
        own = Template.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id, model_id=self._model_id)
        stored = [Protected(bytes(vector)) for vector in own.values_list("vector", flat=True)]
        return self._protection.restore(stored, tenant)

    def catch_up(self) -> None:
        """Drop what deleted tenants left. On a thread of its own, finish what a killed process has begun, project anew
        where the epoch has moved on, and build graphs of galleries that have grown."""
        graphs.drop_abandoned()
        if self._renewal is not None and self._renewal.is_alive():
            return
        unfinished = self._unfinished()
        if unfinished:
            self._renewal = threading.Thread(
                target=self._finish_all, args=[unfinished], name="gallery projections", daemon=True
            )
            self._renewal.start()

    def wait_for_renewals(self) -> None:
        """Return when the renewals that `catch_up` has begun have ended."""
        if self._renewal is not None:
            self._renewal.join()

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(galleries=0, templates=0, memory_bytes=0)

    def rebuild(self, tenant: Tenant, advance: Advance) -> bool:
        """Project the gallery anew, in its present epoch, and delete what was searched until then.

        Searches and enrolments go on; what was cut off goes on at the next call. Not in a transaction.
        """
        return self._renew(tenant, advance, anew=True)

    def _renew(self, tenant: Tenant, advance: Advance, *, anew: bool) -> bool:
        with self._projections.rebuilding(tenant) as mine:
            if not mine:
                return False
            newest = self._projections.begin(tenant, anew=anew)
            self._projections.fill(tenant, newest, advance)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE gallery_vector")
            *older, newest = self._projections.of(tenant)
            if not newest.is_complete:
                return False
            if newest.vectors >= graphs.INDEXED_FROM:
                graphs.build(newest)
            for projection in older:
                graphs.drop(projection)
                self._projections.delete(tenant, projection)
            return True

    def _unfinished(self) -> list[Tenant]:
        """Tenants whose gallery is not one complete projection of the present epoch, with a graph if it is large."""
        held = self._projections.of_all()
        tenants = Tenant.objects.in_bulk(list(held))
        return [tenant for pk, tenant in tenants.items() if not self._is_finished(tenant, held[pk])]

    def _is_finished(self, tenant: Tenant, projections: Sequence[Projection]) -> bool:
        try:
            epoch = self._protection.epoch(tenant)
        except KeysUnavailable:
            return True  # Nothing of it can be projected any more.
        (*older, newest) = projections
        has_graph = newest.is_indexed or newest.vectors < graphs.INDEXED_FROM
        return not older and newest.epoch == epoch and newest.is_complete and has_graph

    def _finish_all(self, tenants: Sequence[Tenant]) -> None:
        try:
            with good_connection():
                for tenant in tenants:
                    self._renew(tenant, lambda done, total: None, anew=False)
        except (DatabaseError, KeysUnavailable):
            logger.warning("a gallery could not be projected; it is tried again later", exc_info=True)
        finally:
            connection.close()

    def _complete(self, tenant: Tenant) -> Projection:
        """The projection to search. Projects what is missing, as for the first use, before it returns.

        Raises Unavailable when that takes too long.
        """
        searched = self._projections.searched(tenant)
        if searched is not None and self._protection.knows(tenant, searched.epoch):
            return searched
        deadline = time.monotonic() + FIRST_USE_S

        def give_up_in_time(done: int, total: int) -> None:
            if done < total and time.monotonic() > deadline:
                raise _being_prepared()

        projection = self._projections.begin(tenant, anew=False)
        self._projections.fill(tenant, projection, give_up_in_time)
        return projection

    def _search_in(
        self, projection: Projection, tenant: Tenant, probes: Sequence[Embedding], limit: int
    ) -> Ranking | None:
        """The most similar subjects; None when the projection is not complete any more."""
        turned = self._protection.turn(np.stack(probes), tenant, projection.epoch)
        asked = limit + MORE_THAN_ASKED
        while True:
            nearest = _nearest(projection, turned, asked)
            if nearest is None:
                return None
            if asked >= nearest.searched or len(set(nearest.subjects)) >= limit:
                found = similarities(self._protection.restore(nearest.templates, tenant), probes)
                return Ranking(_best(nearest.subjects, found)[:limit], nearest.searched)
            asked *= 4


def _nearest(projection: Projection, turned: Embeddings, asked: int) -> _Nearest | None:
    by_graph = projection.is_indexed and asked <= MAX_FROM_GRAPH
    one = _NEAREST.format(projection=projection.id, order=_BY_GRAPH if by_graph else _ONE_BY_ONE, limit=asked)
    query = _SEARCH.format(projection=projection.id, nearest=" UNION ALL ".join([one] * len(turned)))
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(_SETTINGS, [str(max(CONSIDERED_IN_GRAPH, min(asked, MAX_FROM_GRAPH)))])
        cursor.execute(query, [to_text(probe) for probe in turned])
        rows = cursor.fetchall()
    if not rows:
        return None
    found = [(subject, Protected(bytes(vector))) for _, subject, vector in rows if vector is not None]
    return _Nearest(rows[0][0], [subject for subject, _ in found], [vector for _, vector in found])


def _best(subjects: Sequence[str], found: npt.NDArray[np.float64]) -> list[Candidate]:
    """Subjects by their best template, most similar first."""
    best: dict[str, float] = {}
    for row in np.argsort(-found, kind="stable"):
        best.setdefault(subjects[row], float(found[row]))
    return [Candidate(subject_id, similarity) for subject_id, similarity in best.items()]


def _being_prepared() -> Unavailable:
    return Unavailable("the gallery is being prepared for searches", RETRY_AFTER_MS)
