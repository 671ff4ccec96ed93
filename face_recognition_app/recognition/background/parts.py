"""Jobs that are done in parts, each within seconds: what is kept from one part to the next, and when one is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

from gallery.protection.errors import KeysUnavailable
from jobs.models import Job
from jobs.run import Again, Result, Run

SAVED_EVERY_S = 1.0

S = TypeVar("S", bound=BaseModel)
A = TypeVar("A")


class PartIsOver(Exception):
    """The job makes way for others. What it has done is kept."""


class KeysMissing(Exception):
    """A secret of templates cannot be had: an operator may mend that before the next try."""


def in_parts(work: Callable[[Run, A], Result | Again]) -> Callable[[Run, A], Result | Again]:
    """Queues the job again where a part of it is over."""

    @wraps(work)
    def part(run: Run, asked: A) -> Result | Again:
        try:
            return work(run, asked)
        except PartIsOver:
            return Again()
        except KeysUnavailable as error:  # Told as a failure of this try, which an unavailable database would not be.
            raise KeysMissing("the templates cannot be read now") from error

    return part


def id_of(run: Run) -> UUID:
    """The public id of the job, by which its report is named."""
    found: UUID = Job.across_tenants.values_list("public_id", flat=True).get(pk=run.job_pk)
    return found


class Part(Generic[S]):
    """One run of a job, with its checkpoint as an object: `state` is what the last checkpoint has, or as new.

    `before_keeping` is called before each keeping, and brings the state up to date.
    """

    def __init__(self, run: Run, form: type[S], before_keeping: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self._before_keeping = before_keeping
        self._steps = 0
        self.state = form.model_validate(run.checkpoint or {})
        self._saved = time.monotonic()

    def keep(self) -> None:
        """Keep the state, in the caller's transaction if there is one. Raises LeaseLost."""
        self._before_keeping()
        self.run.checkpoint = self.state.model_dump(mode="json")
        self.run.save()
        self._saved = time.monotonic()

    @contextmanager
    def step(self) -> Iterator[None]:
        """A transaction in which something is changed together with the state. Raises as Run.step does."""
        with self.run.step():
            yield
            self.run.checkpoint = self.state.model_dump(mode="json")

    def advance(self, done: int, total: int | None) -> None:
        """Say how far the job is, where all that was done stays. Not in a transaction.

        Raises Cancelled, LeaseLost, and PartIsOver when it is time to make way. The first call does not, so that each
        part gets further, whatever its preparations take.
        """
        self.show(done, total)
        self._steps += 1
        if self.run.is_over and self._steps > 1:
            self.keep()
            raise PartIsOver

    def show(self, done: int, total: int | None) -> None:
        """The same in the middle of what would have to begin anew: it makes no way. Raises Cancelled and LeaseLost."""
        self.run.done, self.run.total = done, total
        self.run.check()
        if time.monotonic() - self._saved > SAVED_EVERY_S:
            self.keep()
