from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from config.memory import memory_bytes
from server.departure import Departure
from server.retirement import ONE_IN_MS, Retirement
from server.roster import Roster, Slot, Stage


@pytest.fixture
def roster() -> Roster:
    return Roster()


def ready_worker(roster: Roster) -> tuple[Slot, Departure]:
    slot = roster.enter()
    departure = Departure(slot, os.getppid(), drain_s=0)
    departure.started()
    return slot, departure


def considered(roster: Roster, limit_bytes: int | None) -> Slot:
    slot, departure = ready_worker(roster)
    Retirement(slot, limit_bytes, departure).consider()
    departure.consider()
    return slot


def test_this_process_is_as_large_as_the_system_says() -> None:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert memory_bytes(os.getpid()) == pytest.approx(int(line.split()[1]) * 1024, rel=0.1)
    assert memory_bytes(1 << 30) == 0


@pytest.mark.parametrize("limit_bytes", [None, 1 << 40])
def test_a_worker_that_is_small_enough_stays(roster: Roster, limit_bytes: int | None) -> None:
    roster.wanted = 2
    assert considered(roster, limit_bytes).stage is Stage.READY


def test_one_that_is_too_large_leaves_and_says_why(roster: Roster, caplog: pytest.LogCaptureFixture) -> None:
    roster.wanted = 2
    assert considered(roster, 1 << 20).stage is Stage.LEAVING
    assert "more than the 1 MB of FACE_WORKER_MAX_MEMORY_MB" in caplog.text


def test_one_that_cannot_tell_how_large_it_is_stays(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out_of_files(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("server.retirement.memory_bytes", out_of_files)
    assert considered(roster, 1).stage is Stage.READY
    assert "Too many open files" in caplog.text


def test_one_retires_at_a_time(roster: Roster) -> None:
    roster.wanted = 3
    assert considered(roster, 1).stage is Stage.LEAVING
    roster.retired_at_ms -= 2 * ONE_IN_MS
    assert considered(roster, 1).stage is Stage.READY


def test_the_next_one_retires_a_while_later(roster: Roster) -> None:
    roster.wanted = 2
    roster.leave(considered(roster, 1))
    assert considered(roster, 1).stage is Stage.READY
    roster.retired_at_ms -= 2 * ONE_IN_MS
    assert considered(roster, 1).stage is Stage.LEAVING
