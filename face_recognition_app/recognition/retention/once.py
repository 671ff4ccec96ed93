"""Retention in one run, for a command or a job beside the workers. The workers do the same in rounds."""

from __future__ import annotations

from dataclasses import dataclass

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
    expired = 0
    while count := expire_overdue(deciding):
        expired += count
    return Retained(expired, _apply_rules(deciding))


def _apply_rules(deciding: Deciding) -> int | None:
    applied = 0
    while done := enforce_in_turn(deciding):
        applied += done
    return None if done is None and not applied else applied
