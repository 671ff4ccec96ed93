"""run_workers.sh, as an operator calls it."""

from __future__ import annotations

import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from testkit.environment import clean_environment
from testkit.job_site import wait_for
from testkit.service import REPOSITORY
from tests.scripts.shell import run_script

SCRIPT = str(REPOSITORY / "run_workers.sh")


run = partial(run_script, "run_workers.sh")


def test_help_tells_every_flag_and_its_variable() -> None:
    done = run("--help")
    assert done.returncode == 0
    for flag, variable in (
        ("--mode", "WORKER_MODE"),
        ("--concurrency", "WORKER_CONCURRENCY"),
        ("--priorities", "WORKER_PRIORITIES"),
        ("--job-types", "WORKER_JOB_TYPES"),
    ):
        assert flag in done.stdout
        assert f"({variable})" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--concurrency", "0"], "--concurrency takes a whole number from 1 to 1000, not '0'"),
        (["--concurrency"], "--concurrency takes a whole number from 1 to 1000, not ''"),
        (["--mode", "--concurrency"], "--mode takes names with commas between them"),
        (["--priorities", "high, low"], "--priorities takes names with commas between them"),
        (["--workers", "3"], "unknown argument '--workers'"),
    ],
)
def test_a_wrong_flag_is_named_before_anything_is_done(arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert "usage: ./run_workers.sh" in done.stderr


def test_a_flag_beats_its_variable(tmp_path: Path) -> None:
    done = run(
        "--print-config",
        "--mode=specialized",
        "--priorities",
        "high,normal",
        "--concurrency",
        "7",
        FACE_DATA_DIR=str(tmp_path),
        REDIS_URL="redis://nowhere.invalid/0",
        WORKER_MODE="thin",
        WORKER_CONCURRENCY="2",
    )
    assert done.returncode == 0, done.stderr
    expected = {"WORKER_MODE=specialized", "WORKER_PRIORITIES=high,normal", "WORKER_CONCURRENCY=7"}
    assert expected <= set(done.stdout.splitlines())


def test_a_wrong_name_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    done = run("--print-config", "--mode", "fat", FACE_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "WORKER_MODE='fat': Input should be 'thin', 'default'" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_sets_up_what_is_missing_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SCRIPT, "--concurrency", "1"],
            env={
                **clean_environment(),
                "FACE_DATA_DIR": str(tmp_path / "var"),
                "FACE_MODEL_DIR": str(REPOSITORY / "var" / "models"),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: "this scheduler leads" in log.read_text() or process.poll() is not None, "a worker")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "database: migrations applied" in log.read_text()
