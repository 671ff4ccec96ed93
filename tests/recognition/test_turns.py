"""Whose work is next: owners take turns, and in a crowd frames that have just come are first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from core.permits import Permit, PermitQueue
from recognition.admission import INTERVAL_S, Admission
from recognition.ready_work import FRESH_S, LAST_S
from tests.recognition.support import PATIENCE_S

pytestmark = pytest.mark.usefixtures("unblocked_loop")


class Held:
    """Work that waits until the gate is open, and tells in which order it was done."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.gate = threading.Event()
        self.served: list[str] = []
        self._takes_s = takes_s

    def wait(self, permit: Permit) -> None:
        assert self.gate.wait(PATIENCE_S)

    def serving(self, name: str) -> Callable[[Permit], None]:
        def serve(permit: Permit) -> None:
            self.wait(permit)
            time.sleep(self._takes_s)
            self.served.append(name)

        return serve


async def test_who_brings_much_does_not_hold_up_who_brings_little() -> None:
    one, held = Admission(PermitQueue(1), PATIENCE_S), Held()
    greedy = [asyncio.create_task(one.run(held.serving("greedy"), "greedy")) for _ in range(20)]
    await asyncio.sleep(0.05)
    modest = [asyncio.create_task(one.run(held.serving("modest"), "modest")) for _ in range(3)]
    await asyncio.sleep(0.05)
    held.gate.set()
    await asyncio.gather(*greedy, *modest)
    one.close()
    assert "modest" in held.served[:3]
    assert held.served[:8].count("modest") == 3


async def test_who_brings_much_does_not_hold_up_others_when_it_is_let_in() -> None:
    """Eight may be let in, and one thread computes: what waits for it takes turns, too."""
    admission = Admission(PermitQueue(8), PATIENCE_S, threads=1)
    held = Held(takes_s=0.01)  # Long enough for who has been served to come again.

    async def one_after_the_other(name: str) -> None:
        for _ in range(4):
            await admission.run(held.serving(name), name)

    greedy = [asyncio.create_task(admission.run(held.serving("greedy"), "greedy")) for _ in range(20)]
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(one_after_the_other(name)) for name in ("modest", "quiet")]
    await asyncio.sleep(0.05)
    held.gate.set()
    await asyncio.gather(*greedy, *others)
    admission.close()
    first = held.served[:20]
    assert held.served.count("greedy") == 20
    assert (first.count("modest"), first.count("quiet")) == (4, 4)
    assert "greedy" in first[2:5], "nor do they hold it up"


async def served_in_order(pieces: Sequence[tuple[str, Callable[[], float]]], *, crowded: bool = True) -> list[str]:
    """The names in the order in which one thread takes work that tells how new its frame is, when all lies ready."""
    admission = Admission(PermitQueue(len(pieces) + 2), PATIENCE_S, threads=1)
    for _ in range(200):
        admission.pacer.served(2 * INTERVAL_S if crowded else INTERVAL_S / 100)
    held = Held()
    first = asyncio.create_task(admission.run(held.wait))
    await asyncio.sleep(0.05)
    # Taken just before the others, whatever the gate took: what came since then would have just come, too.
    others = [asyncio.create_task(admission.run(lambda _: None))]
    await asyncio.sleep(0)
    for name, newest_at in pieces:
        others.append(asyncio.create_task(admission.run(held.serving(name), None, newest_at)))
        await asyncio.sleep(0)
    held.gate.set()
    await asyncio.gather(first, *others)
    admission.close()
    return held.served


def a_while_ago() -> float:
    return time.monotonic() - (FRESH_S + LAST_S) / 2


async def test_a_frame_that_has_just_come_is_looked_at_before_an_older_one() -> None:
    assert await served_in_order([("old", a_while_ago), ("new", time.monotonic)]) == ["new", "old"]


async def test_where_nobody_waits_for_long_who_came_first_is_served_first() -> None:
    assert await served_in_order([("old", a_while_ago), ("new", time.monotonic)], crowded=False) == ["old", "new"]
