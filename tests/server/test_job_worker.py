from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.processes.locks import Taken, alone, is_free
from server import job_worker
from server.job_worker import JobWorker
from testkit.job_site import wait_for

BEGUN = "import sys, time; open(sys.argv[1], 'a').write('begun\\n'); time.sleep(float(sys.argv[2]))"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_worker, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(job_worker, "LOOKS_EVERY_S", 0.02)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    path = tmp_path / "begun"
    path.touch()
    return path


def worker(begun: Path, seconds: float, *, wanted: list[bool]) -> JobWorker:
    command = [sys.executable, "-c", BEGUN, str(begun), str(seconds)]
    return JobWorker(command, begun.with_name("lock"), lambda: wanted[-1])


def count(begun: Path) -> int:
    return begun.read_text().count("begun")


def test_it_is_started_when_it_is_wanted_and_again_when_it_ends(begun: Path) -> None:
    wanted = [False]
    kept = worker(begun, 0, wanted=wanted)
    kept.start()
    wait_for(lambda: kept._thread.is_alive(), "the thread")
    assert count(begun) == 0
    wanted.append(True)
    wait_for(lambda: count(begun) >= 3, "three starts")
    kept.stop()
    kept.join()
    assert not kept._thread.is_alive()


def test_none_is_started_while_another_has_the_data_directory(begun: Path) -> None:
    kept = worker(begun, 60, wanted=[True])
    with alone(begun.with_name("lock"), "4711"):
        kept.start()
        for _ in range(5):
            kept._look()
        assert count(begun) == 0
    wait_for(lambda: count(begun) == 1, "a start")
    kept.stop()
    kept.join()
    assert count(begun) == 1


def test_a_lock_says_who_has_it_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert is_free(path)
    with alone(path, "4711"):
        assert not is_free(path)
        with pytest.raises(Taken, match="4711"), alone(path, "4712"):
            pass
    assert is_free(path)
