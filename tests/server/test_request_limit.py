from __future__ import annotations

import os

import pytest

from server.graceful_exit import GracefulExit
from server.request_limit import RequestLimit
from server.roster import Roster, Slot, Stage

LIMIT = 100


@pytest.fixture
def roster() -> Roster:
    roster = Roster()
    roster.wanted = 2
    return roster


def checked(roster: Roster, served: int) -> Slot:
    slot = roster.enter()
    graceful_exit = GracefulExit(slot, os.getppid(), drain_s=0)
    graceful_exit.started()
    RequestLimit(slot, LIMIT, graceful_exit).check(served)
    graceful_exit.advance()
    return slot


@pytest.mark.parametrize(("served", "stage"), [(LIMIT - 1, Stage.READY), (LIMIT, Stage.LEAVING)])
def test_a_worker_leaves_with_its_last_request(roster: Roster, served: int, stage: Stage) -> None:
    assert checked(roster, served).stage is stage


def test_one_worker_leaves_at_a_time(roster: Roster) -> None:
    first = checked(roster, LIMIT)
    assert checked(roster, LIMIT).stage is Stage.READY
    roster.leave(first)
    assert checked(roster, LIMIT).stage is Stage.LEAVING
