"""run_gunicorn.sh, as an operator calls it, as far as it goes without serving."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from testkit.service import REPOSITORY
from tests.scripts.shell import run_script

SCRIPT = str(REPOSITORY / "run_gunicorn.sh")


run = partial(run_script, "run_gunicorn.sh")


def test_help_tells_every_flag_and_its_variable() -> None:
    done = run("--help")
    assert done.returncode == 0
    for flag, variable in (
        ("--workers", "GUNICORN_WORKERS"),
        ("--pool-size", "FACE_MESH_POOL_SIZE"),
        ("--bind", "GUNICORN_BIND"),
    ):
        assert flag in done.stdout
        assert variable in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--workers", "0"], "--workers takes a whole number from 1 to 9999, not '0'"),
        (["--workers"], "--workers takes a whole number from 1 to 9999, not ''"),
        (["--pool-size=many"], "--pool-size takes a whole number from 1 to 9999, not 'many'"),
        (["--bind", "8003"], "--bind takes HOST:PORT"),
        (["--threads", "4"], "unknown argument '--threads'"),
    ],
)
def test_a_wrong_flag_is_named_before_anything_is_done(arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


def test_the_configuration_is_a_table_that_names_flags_variables_and_defaults(tmp_path: Path) -> None:
    done = run(
        "--print-config",
        "--workers=3",
        "--bind",
        "127.0.0.1:9000",
        FACE_DATA_DIR=str(tmp_path),
        GUNICORN_WORKERS="5",
        GUNICORN_TIMEOUT="30",
        WORKER_PROFILE="maximum",
    )
    assert done.returncode == 0, done.stderr
    told = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    for name, value, origin in (
        ("GUNICORN_WORKERS", "3", "flag --workers"),
        ("GUNICORN_BIND", "127.0.0.1:9000", "flag --bind"),
        ("GUNICORN_TIMEOUT", "30", "environment"),
        ("WORKER_PROFILE", "maximum", "environment"),
        ("GUNICORN_BACKLOG", "2048", "default"),
        ("FACE_DATA_DIR", str(tmp_path)[:20], "environment"),
    ):
        assert value in told[name]
        assert origin in told[name]
    assert list(tmp_path.iterdir()) == [], "printing makes nothing"


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    done = run("--print-config", FACE_DATA_DIR=str(tmp_path), API_WORKERS="none")
    assert done.returncode != 0
    assert "configuration error: API_WORKERS='none': Input should be a valid integer" in done.stderr
