"""Recording reads: each waits for its commit, and those that come meanwhile are committed together.

A commit costs the disk's time, however many entries it has. A change has one anyway, a read has it for its entry only,
and so has an access token, which is stored nowhere.
While one thread commits, the others put their events in line, and the next takes all of them.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from django.db import connection, transaction

from audit.chain import Event, append


@dataclass(eq=False, slots=True)
class _Waiting:
    """Events of one read. `context` has its actor and request id. `alone`: its batch failed."""

    tenant_id: int
    events: tuple[Event, ...]
    context: Context = field(default_factory=copy_context)
    done: bool = False
    alone: bool = False


class ReadLine:
    """The reads of this process that wait for their commit."""

    def __init__(self) -> None:
        self._line = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Waiting] = []

    def record(self, tenant_id: int, *events: Event) -> None:
        """Return when the events are committed. Raises what the database raises, and NoChain; then they are not.

        Within a transaction they are part of it: nothing is committed that is not yet true.
        """
        mine = _Waiting(tenant_id, events)
        if connection.in_atomic_block:
            _write([mine])
            return
        with self._line:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done and not mine.alone:
                self._write_all()
        if mine.alone:
            _write([mine])

    def _write_all(self) -> None:
        """Write everything that waits. After a failure each of them is told to try alone."""
        with self._line:
            batch, self._waiting = self._waiting, []
        try:
            _write(batch)
        except Exception:
            for one in batch:
                one.alone = True
        else:
            for one in batch:
                one.done = True


def _write(batch: list[_Waiting]) -> None:
    """Write the events of a batch in one transaction, tenant by tenant in one order, so that two cannot deadlock."""
    by_tenant: dict[int, list[_Waiting]] = defaultdict(list)
    for one in batch:
        by_tenant[one.tenant_id].append(one)
    with transaction.atomic():
        for tenant_id in sorted(by_tenant):
            append(tenant_id, [(one.context, event) for one in by_tenant[tenant_id] for event in one.events])


reads = ReadLine()
"""Of this process."""
