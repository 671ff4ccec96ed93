"""Interface of every store of templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.types import Embedding, Embeddings
from gallery.models import Template
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Candidate:
    """The best of one subject's templates and its similarity, a raw cosine."""

    subject_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The most similar subjects, most similar first, and the number of templates that were searched for them."""

    candidates: Sequence[Candidate]
    templates: int


Advance = Callable[[int, int], object]
"""Is told, again and again, how many of how many templates are done."""


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store holds in this process's memory, or has mapped into it."""

    galleries: int
    templates: int
    memory_bytes: int


class TemplateStore(Protocol):
    """Searches the templates of one model, tenant by tenant, as they are at the time of the call.

    Every method blocks, may be called from any thread, and makes queries on that thread's database connection. In a
    transaction a search also sees what that transaction has changed, and keeps nothing of it.
    """

    resumes_rebuilds: bool
    """Whether a rebuild that was cut off goes on at the next call. Else it begins anew."""

    def add(self, tenant: Tenant, templates: Sequence[Template]) -> None:
        """Take notice of new templates in the transaction that stores them. A store that reads them later does nothing.

        Deletions are never told: the database passes them on, or the store reads them as changes.
        """
        ...

    def moved(self, tenant: Tenant) -> None:
        """Take notice that the tenant's templates are of this store's model now, and were of another one, in the
        transaction that has changed their rows. A store that reads them later does nothing."""
        ...

    def refresh(self, tenant: Tenant) -> None:
        """Read the changes, so that the next search has little to read. Does nothing in a transaction."""
        ...

    def search(self, tenant: Tenant, probes: Sequence[Embedding], limit: int) -> Ranking:
        """The `limit` subjects most similar to any of the probes, which show one face."""
        ...

    def of_subject(self, tenant: Tenant, subject_id: str) -> Embeddings:
        """The subject's templates, without the rest of the gallery."""
        ...

    def rebuild(self, tenant: Tenant, advance: Advance) -> bool:
        """Make the tenant's index anew from the database, beside the one that is searched meanwhile.

        What `advance` raises ends it, and the index stays as it was. False when another process does that now.
        """
        ...

    def catch_up(self) -> None:
        """Bring every index up to date and delete those of deleted tenants: no erased template may stay in one."""
        ...

    def wait_for_renewals(self) -> None:
        """Return when the work in the background that `catch_up` has begun is done."""
        ...

    def statistics(self) -> StoreStatistics: ...
