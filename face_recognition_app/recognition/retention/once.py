"""Retention in one run, for a command or a job beside the workers. The workers do the same in rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from recognition.deciding import Deciding
from recognition.retention.rules import enforce_in_turn
from recognition.sessions.lifecycle import expire_overdue


@dataclass(frozen=True, slots=True)
class Retained:
    """`expired`: number of sessions ended at their time limit. `applied`: number of rows that rules deleted or emptied,
    None when another process of this machine was applying the rules."""

    expired: int
    applied: int | None


def apply_once(deciding: Deciding) -> Retained:
    """End every overdue session, then apply every rule until no row is left for it."""
    *_, retained = in_rounds(deciding, Retained(0, None))
    return retained


def in_rounds(deciding: Deciding, so_far: Retained) -> Iterator[Retained]:
    """The same in rounds that end within seconds, on top of `so_far`: yields what is done after each of them."""
    while count := expire_overdue(deciding):
        so_far = replace(so_far, expired=so_far.expired + count)
        yield so_far
    while True:
        done = enforce_in_turn(deciding)
        if done is not None:
            so_far = replace(so_far, applied=(so_far.applied or 0) + done)
        yield so_far
        if not done:
            return
