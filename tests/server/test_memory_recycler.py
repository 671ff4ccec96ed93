from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

import pytest

from config.processes.memory import memory_bytes, private_bytes
from server.graceful_exit import GracefulExit
from server.memory_recycler import RECYCLE_INTERVAL_MS, MemoryRecycler
from server.roster import Roster, Slot, Stage

SIZE = 128 << 20


@pytest.fixture
def roster() -> Roster:
    return Roster()


def ready_worker(roster: Roster) -> tuple[Slot, GracefulExit]:
    slot = roster.enter()
    graceful_exit = GracefulExit(slot, os.getppid(), drain_s=0)
    graceful_exit.started()
    return slot, graceful_exit


def checked(roster: Roster, limit_bytes: int | None) -> Slot:
    slot, graceful_exit = ready_worker(roster)
    MemoryRecycler(slot, limit_bytes, graceful_exit).check()
    graceful_exit.advance()
    return slot


def test_memory_bytes_is_what_the_system_says() -> None:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert memory_bytes(os.getpid()) == pytest.approx(int(line.split()[1]) * 1024, rel=0.1)
    assert memory_bytes(1 << 30) == 0


def test_a_mapped_file_is_memory_and_private_to_nobody(tmp_path: Path) -> None:
    """Also while only one process has mapped it, which the system counts as private."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * SIZE)
    all_before, private_before = memory_bytes(os.getpid()), private_bytes(os.getpid())
    with large.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[place] for place in range(0, SIZE, mmap.PAGESIZE)) > 0
        assert memory_bytes(os.getpid()) - all_before > SIZE // 2
        assert private_bytes(os.getpid()) - private_before < SIZE // 4
    own = bytearray(b"x") * SIZE
    assert private_bytes(os.getpid()) - private_before > SIZE // 2
    del own
    assert private_bytes(1 << 30) == 0


@pytest.mark.parametrize("limit_bytes", [None, 1 << 40])
def test_a_worker_below_the_limit_stays(roster: Roster, limit_bytes: int | None) -> None:
    roster.wanted = 2
    assert checked(roster, limit_bytes).stage is Stage.READY


def test_a_worker_above_the_limit_leaves_and_logs_why(roster: Roster, caplog: pytest.LogCaptureFixture) -> None:
    roster.wanted = 2
    assert checked(roster, 1 << 20).stage is Stage.LEAVING
    assert "more than the 1 MB of FACE_WORKER_MAX_MEMORY_MB" in caplog.text


def test_a_worker_that_cannot_read_its_memory_stays(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out_of_files(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("server.memory_recycler.private_bytes", out_of_files)
    assert checked(roster, 1).stage is Stage.READY
    assert "Too many open files" in caplog.text


def test_one_worker_is_recycled_at_a_time(roster: Roster) -> None:
    roster.wanted = 3
    assert checked(roster, 1).stage is Stage.LEAVING
    roster.recycled_at_ms -= 2 * RECYCLE_INTERVAL_MS
    assert checked(roster, 1).stage is Stage.READY


def test_the_next_worker_is_recycled_after_the_interval(roster: Roster) -> None:
    roster.wanted = 2
    roster.leave(checked(roster, 1))
    assert checked(roster, 1).stage is Stage.READY
    roster.recycled_at_ms -= 2 * RECYCLE_INTERVAL_MS
    assert checked(roster, 1).stage is Stage.LEAVING
