from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from logs.rotating_file import SharedRotatingFile
from tests.processes import environment

MEGABYTE = 1_000_000

WRITERS = """
import logging, os, sys
from pathlib import Path
from logs.rotating_file import SharedRotatingFile

path, size, backups, name, lines = sys.argv[1:]
logger = logging.getLogger("writer")
logger.propagate = False
logger.addHandler(SharedRotatingFile(Path(path), int(size), int(backups)))
logger.warning(f"{name}-before")  # The lock is open before the fork.
child = os.fork()
name += "-child" if child == 0 else "-parent"
for number in range(int(lines)):
    logger.warning(f"{name}-{number} " + "x" * 480 + " end")
if child:
    os.waitpid(child, 0)
"""


def write_by_ten(path: Path, lines: int, backups: int) -> None:
    """Five processes that fork write 2 * `lines` lines each."""
    command = [sys.executable, "-c", WRITERS, str(path), str(MEGABYTE), str(backups)]
    started = [subprocess.Popen([*command, f"w{number}", str(lines)], env=environment()) for number in range(5)]
    assert [process.wait(60) for process in started] == [0] * 5


def test_ten_processes_lose_and_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    write_by_ten(path, 1_000, 5)
    files = [path, *tmp_path.glob("worker.log.[0-9]*")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    expected = {
        f"w{number}-{who}-{line}" for number in range(5) for who in ("parent", "child") for line in range(1_000)
    }
    expected |= {f"w{number}-before" for number in range(5)}
    assert sorted(line.split()[0] for line in lines) == sorted(expected)
    assert all(line.endswith((" end", "-before")) for line in lines)
    assert len(files) > 4
    assert all(file.stat().st_size <= MEGABYTE for file in files)


def test_exactly_as_many_full_files_are_kept_as_wanted(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    write_by_ten(path, 1_000, 3)
    kept = sorted(file.name for file in tmp_path.iterdir())
    assert kept == ["worker.log", "worker.log.1", "worker.log.2", "worker.log.3", "worker.log.lock"]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    handler = SharedRotatingFile(path, MEGABYTE, 2)
    handler.handle(logging.makeLogRecord({"msg": "first"}))
    path.rename(tmp_path / "elsewhere")
    handler.handle(logging.makeLogRecord({"msg": "second"}))
    handler.close()
    assert path.read_text() == "second\n"
    assert (tmp_path / "elsewhere").read_text() == "first\n"


def test_a_full_disk_ends_nothing_and_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "worker.log"
    path.symlink_to("/dev/full")
    handler = SharedRotatingFile(path, MEGABYTE, 2)
    for _ in range(3):
        handler.handle(logging.makeLogRecord({"msg": "lost"}))
    path.unlink()
    handler.handle(logging.makeLogRecord({"msg": "written"}))
    handler.close()
    assert capsys.readouterr().err.count("--- Logging error ---") == 1
    assert path.read_text() == "written\n"
