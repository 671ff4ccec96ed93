"""Why workers ended, as the master counts it."""

from __future__ import annotations

import os

import pytest

from server.graceful_exit import GracefulExit
from server.roster import EndReason, Roster, Stage
from server.worker_metrics import RosterCollector


@pytest.fixture
def roster() -> Roster:
    roster = Roster()
    roster.wanted = 2
    return roster


def ended(roster: Roster) -> dict[str, float]:
    families = {family.name: family for family in RosterCollector(roster).collect()}
    return {one.labels["reason"]: one.value for one in families["face_workers_ended"].samples if one.value}


def test_the_first_reason_counts(roster: Roster) -> None:
    slot = roster.enter()
    leaving = GracefulExit(slot, os.getppid(), 0.0)
    leaving.started()
    leaving.request("it uses too much memory", EndReason.MEMORY)
    leaving.request()
    roster.leave(slot)
    assert ended(roster) == {"memory": 1}


def test_who_dies_without_a_word_died_unexpectedly(roster: Roster) -> None:
    slot = roster.enter()
    slot.stage = Stage.READY
    roster.leave(slot)
    assert ended(roster) == {"unexpected": 1}


def test_who_was_never_ready_failed_to_start(roster: Roster) -> None:
    roster.leave(roster.enter())
    assert ended(roster) == {"failed_start": 1}


def test_a_slot_that_is_used_again_has_no_reason(roster: Roster) -> None:
    slot = roster.enter()
    slot.stage, slot.reason = Stage.READY, EndReason.STUCK
    roster.leave(slot)
    again = roster.enter()
    again.stage = Stage.READY
    roster.leave(again)
    assert ended(roster) == {"stuck": 1, "unexpected": 1}


def test_the_end_of_the_service_counts_nothing(roster: Roster) -> None:
    slot = roster.enter()
    slot.stage = Stage.READY
    roster.stop()
    roster.leave(slot)
    assert ended(roster) == {}


def test_without_a_master_nothing_is_told() -> None:
    assert list(RosterCollector(Roster()).collect()) == []
