from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ops.memory import memory_bytes
from server.retirement import ONE_IN_S, Retirement
from server.siblings import Siblings
from tests.ops.processes import living

LONG_AGO = 2 * ONE_IN_S
RETIRED = """
import sys
from pathlib import Path
from server.retirement import Retirement
from server.siblings import Siblings

retirement = Retirement(Path(sys.argv[1]), 1, Siblings(Path(sys.argv[1])), linger_s=0)
retirement.consider()
assert retirement.is_over
print("ready", flush=True)
input()
"""


@pytest.fixture
def siblings(tmp_path: Path) -> Siblings:
    return Siblings(tmp_path)


def test_this_process_is_as_large_as_the_system_says() -> None:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert memory_bytes(os.getpid()) == pytest.approx(int(line.split()[1]) * 1024, rel=0.1)
    assert memory_bytes(1 << 30) == 0


def test_a_worker_that_is_small_enough_stays(tmp_path: Path, siblings: Siblings) -> None:
    for limit in (None, 1 << 40):
        retirement = Retirement(tmp_path, limit, siblings, linger_s=0)
        retirement.consider()
        assert not retirement.is_over


def test_one_that_is_too_large_stays_for_those_it_serves(
    tmp_path: Path, siblings: Siblings, caplog: pytest.LogCaptureFixture
) -> None:
    retirement = Retirement(tmp_path, 1 << 20, siblings, linger_s=0)
    assert not retirement.is_over
    siblings.opened()
    retirement.consider()
    assert not retirement.is_over
    siblings.closed()
    assert retirement.is_over
    assert "more than the 1 MB of FACE_WORKER_MAX_MEMORY_MB" in caplog.text


def test_one_that_cannot_tell_how_large_it_is_stays(
    tmp_path: Path, siblings: Siblings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out_of_files(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("server.retirement.memory_bytes", out_of_files)
    retirement = Retirement(tmp_path, 1, siblings, linger_s=0)
    retirement.consider()
    assert not retirement.is_over
    assert "Too many open files" in caplog.text


def test_it_waits_a_moment_for_who_may_be_on_the_way(tmp_path: Path, siblings: Siblings) -> None:
    retirement = Retirement(tmp_path, 1, siblings)
    retirement.consider()
    assert not retirement.is_over


def test_one_retires_at_a_time(tmp_path: Path, siblings: Siblings) -> None:
    with living(RETIRED, tmp_path):
        set_age(tmp_path, LONG_AGO)
        second = Retirement(tmp_path, 1, siblings, linger_s=0)
        second.consider()
        assert not second.is_over
    second.consider()
    assert second.is_over


def test_the_next_one_retires_a_while_later(tmp_path: Path, siblings: Siblings) -> None:
    with living(RETIRED, tmp_path):
        pass
    second = Retirement(tmp_path, 1, siblings, linger_s=0)
    second.consider()
    assert not second.is_over
    set_age(tmp_path, LONG_AGO)
    second.consider()
    assert second.is_over


def test_one_whose_turn_could_not_be_written_down_takes_it_later(
    tmp_path: Path, siblings: Siblings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk; the lock that it had meanwhile stands in nobody's way."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    retirement = Retirement(tmp_path, 1, siblings, linger_s=0)
    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        retirement.consider()
    assert not retirement.is_over
    assert "No space left on device" in caplog.text
    retirement.consider()
    assert retirement.is_over


def set_age(run_dir: Path, seconds: float) -> None:
    """When a worker last retired."""
    then = time.time() - seconds
    os.utime(run_dir / "retiring", (then, then))
