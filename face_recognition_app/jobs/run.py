"""One run of a job, as the function that does the work sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from jobs.workers import leases
from tenants.models import Tenant

SLICE_S = 10.0
"""How long a run may work on before it makes way for others, so that a worker that is told to stop ends soon."""

Result = Mapping[str, Any] | None
"""What a job has found, as JSON; None when there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Again:
    """The job is not done: it is queued again, and goes on from its checkpoint. `after_s`: not before."""

    after_s: float = 0.0


class Refused(Exception):
    """The job cannot be done, and no other try would mend that. The message is for whoever asked for it."""


class Cancelled(Exception):
    """The job is to stop."""


class LeaseLost(Exception):
    """The worker was thought dead, and another one may have the job: nothing may be written any more."""


@dataclass(slots=True)
class Run:
    """`tenant`: None for the operator's own jobs. `checkpoint`: None at the beginning. Not for several threads."""

    job_pk: int
    number: int
    tenant: Tenant | None
    checkpoint: Any
    done: int = 0
    total: int | None = None
    lease: leases.Lease = field(default_factory=leases.Lease)
    _began: float = field(default_factory=time.monotonic)

    @property
    def own_tenant(self) -> Tenant:
        assert self.tenant is not None
        return self.tenant

    @property
    def is_over(self) -> bool:
        """Whether to return Again, with what is done kept as checkpoint."""
        return time.monotonic() - self._began > SLICE_S

    def check(self) -> None:
        """Raises Cancelled and LeaseLost."""
        if self.lease.lost:
            raise LeaseLost(f"job {self.job_pk} may have another worker")
        if self.lease.cancelling:
            raise Cancelled(f"job {self.job_pk} is to stop")

    @contextmanager
    def step(self) -> Iterator[None]:
        """A transaction that changes something together with `done`, `total` and `checkpoint`: both, or nothing.

        Raises Cancelled before it, and LeaseLost at its end.
        """
        self.check()
        with transaction.atomic():
            yield
            self.save()

    def save(self) -> None:
        """Keep `done`, `total` and `checkpoint`. Raises LeaseLost."""
        if not leases.keep_progress(self.job_pk, self.number, self.done, self.total, self.checkpoint):
            raise LeaseLost(f"job {self.job_pk} has another worker")
