"""Exact search in a mapped file, up to date with the last commit."""

from __future__ import annotations

import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.db import connection

from core.types import Embedding, Embeddings
from database.connections import good_connection
from gallery import changes
from gallery.changes import Point
from gallery.models import Template
from gallery.protection import TemplateProtection
from gallery.protection.errors import KeysUnavailable
from gallery.stores import ranking
from gallery.stores.base import Advance, Ranking, StoreStatistics
from gallery.stores.index import Index, Snapshot
from gallery.stores.row_file import DamagedFile
from gallery.stores.source import Source
from tenants.models import Tenant

logger = logging.getLogger(__name__)

MAPPED_FILES = 128
"""Files that a process has mapped at once, with two descriptors each; then the least recently used is unmapped."""


class ExactStore:
    """Compares a probe with every template. A small query before each search reads the changes since the last one.

    The index is shared by all processes of the machine (`index.py`). In a transaction, which may be rolled back, a
    search uses the changes beside the index. While the index cannot be written it does the same, and without an index
    it compares with the database's rows, page by page.
    """

    resumes_rebuilds = False

    def __init__(self, model_id: str, protection: TemplateProtection, directory: Path) -> None:
        self._model_id = model_id
        self._protection = protection
        self._directory = directory
        self._indexes: OrderedDict[tuple[int, str], Index] = OrderedDict()
        self._making = threading.Lock()
        self._renewal: threading.Thread | None = None

    def add(self, tenant: Tenant, templates: Sequence[Template]) -> None:
        pass

    def moved(self, tenant: Tenant) -> None:
        pass

    def refresh(self, tenant: Tenant) -> None:
        if connection.in_atomic_block:
            return
        source = self._source(tenant)
        self._up_to_date(self._index_of(source), source)

    def search(self, tenant: Tenant, probes: Sequence[Embedding], limit: int) -> Ranking:
        source, faces = self._source(tenant), np.stack(probes)
        index = self._index_of(source)
        while True:
            try:
                found = self._search(index, source, faces, limit)
            except DamagedFile as damage:
                logger.warning("the index of tenant %s was damaged during a search: %s", tenant.name, damage)
            except KeysUnavailable:
                if not index.drop_if_unreadable(source):
                    raise
            else:
                if found is not None:
                    return found

    def of_subject(self, tenant: Tenant, subject_id: str) -> Embeddings:
        return self._source(tenant).of_subject(subject_id)

    def rebuild(self, tenant: Tenant, advance: Advance) -> bool:
        source = self._source(tenant)
        return self._index_of(source).renew(source, advance)

    def catch_up(self) -> None:
        on_disk = self._on_disk()
        living, latest = Tenant.objects.in_bulk({pk for pk, _ in on_disk}), changes.latest_of_all()
        for pk, _ in on_disk - {found for found in on_disk if found[0] in living}:
            self._drop(pk)
        sources = [
            Source(living[pk], model_id, self._protection.of_model(model_id))
            for pk, model_id in on_disk
            if pk in living
        ]
        for source in sources:
            self._care_for(self._index_of(source), source, latest.get(source.tenant.pk, changes.NOWHERE))
        if self._renewal is None or not self._renewal.is_alive():
            stale = [source for source in sources if self._index_of(source).is_stale(source)]
            if stale:
                self._renewal = threading.Thread(target=self._renew, args=(stale,), name="index renewal", daemon=True)
                self._renewal.start()

    def wait_for_renewals(self) -> None:
        """Return when the renewals that `catch_up` has begun have ended."""
        if self._renewal is not None:
            self._renewal.join()

    def statistics(self) -> StoreStatistics:
        held = [found for index in list(self._indexes.values()) if (found := index.held()) is not None]
        return StoreStatistics(len(held), sum(one.templates for one in held), sum(one.file.size for one in held))

    def _best(self, held: Snapshot, probes: Embeddings, limit: int, hidden: Sequence[int] = ()) -> ranking.Best:
        return ranking.best_of_file(held.file, held.state, probes, limit, hidden)

    def _source(self, tenant: Tenant) -> Source:
        return Source(tenant, self._model_id, self._protection)

    def _index_of(self, source: Source) -> Index:
        key = (source.tenant.pk, source.model_id)
        with self._making:
            if key not in self._indexes:
                self._indexes[key] = Index(self._directory / str(source.tenant.pk) / source.model_id)
            self._indexes.move_to_end(key)
            return self._indexes[key]

    def _up_to_date(self, index: Index, source: Source) -> Snapshot | None:
        """None while the index's files cannot be written: the disk is full, or a process that has begun is stopped."""
        try:
            found = index.up_to_date(source)
        except OSError as error:
            logger.warning("the index of tenant %s cannot be written: %s", source.tenant.name, error)
            return None
        self._unmap_the_least_used()
        return found

    def _unmap_the_least_used(self) -> None:
        with self._making:
            mapped = [index for index in self._indexes.values() if index.is_mapped]
            for index in mapped[: max(0, len(mapped) - MAPPED_FILES)]:
                index.release()

    def _search(self, index: Index, source: Source, probes: Embeddings, limit: int) -> Ranking | None:
        """None when rows were removed meanwhile: search again."""
        held = None if connection.in_atomic_block else self._up_to_date(index, source)
        if held is None:
            return self._search_beside(index, source, probes, limit)
        best = self._best(held, source.turned(probes, held.file.header.epoch), limit)
        return Ranking(ranking.in_order(best), held.templates) if held.is_whole else None

    def _search_beside(self, index: Index, source: Source, probes: Embeddings, limit: int) -> Ranking | None:
        """Search the index together with what has changed since, which does not get into it."""
        held = index.snapshot(source)
        changed = None if held is None else changes.since(source.tenant, held.state.point)[1]
        if held is None or changed is None:
            epoch = source.epoch
            turned = source.turned(probes, epoch)
            best, templates = ranking.best_of_pages(source.everything(epoch), turned, limit)
            return Ranking(ranking.in_order(best), templates)
        epoch = held.file.header.epoch
        turned = source.turned(probes, epoch)
        gone = held.file.rows_of(changed.removed, held.state.count)
        kept = self._best(held, turned, limit, changed.removed)
        added, number = ranking.best_of_pages(source.some(held.missing(changed.added), epoch), turned, limit)
        best = ranking.merged([kept, added], limit)
        found = Ranking(ranking.in_order(best), held.templates - len(gone) + number)
        return found if held.is_whole else None

    def _on_disk(self) -> set[tuple[int, str]]:
        """Tenant and model of each index on the disk, whoever made it."""
        found = self._directory.glob("*/*") if self._directory.is_dir() else ()
        return {(int(one.parent.name), one.name) for one in found if one.parent.name.isdecimal()}

    def _care_for(self, index: Index, source: Source, latest: Point) -> None:
        if source.model_id != self._model_id and not source.count():
            shutil.rmtree(index.directory, ignore_errors=True)
            return
        try:
            index.drop_if_unreadable(source)
            index.clean_up()
        except OSError as error:
            logger.warning("the index of tenant %s cannot be cleaned up: %s", source.tenant.name, error)
        if index.is_behind(latest):
            self._up_to_date(index, source)

    def _drop(self, tenant_pk: int) -> None:
        with self._making:
            for key in [key for key in self._indexes if key[0] == tenant_pk]:
                del self._indexes[key]
        shutil.rmtree(self._directory / str(tenant_pk), ignore_errors=True)

    def _renew(self, sources: Sequence[Source]) -> None:
        for source in sources:
            try:
                with good_connection():
                    self._index_of(source).freshen(source)
            except Exception:
                logger.exception("the index of tenant %s is not renewed; a later round tries again", source.tenant.name)
        connection.close()
