"""Who wants to know that a job of a tenant has ended: rooms above this one, which it does not import."""

from __future__ import annotations

from collections.abc import Callable

LISTENERS: list[Callable[[int], None]] = []
"""Each is called with the job's primary key, in the transaction that ends the job."""


def tell(job_pk: int) -> None:
    for listener in LISTENERS:
        listener(job_pk)
