"""Dockerfile.production: what can be seen without building it, which `python -m tools.replay` does."""

from __future__ import annotations

import json
import re
import subprocess

from config.settings import load
from testkit.service import REPOSITORY
from tests.deploy.containers.programs import run
from tests.deploy.containers.shapes import settings_of
from tools.replay.dockerfile import Context, parse

FILE = REPOSITORY / "Dockerfile.production"
STAGES = parse(FILE.read_text())
FINAL = STAGES[-1]
CONTEXT = Context(REPOSITORY)


def test_hadolint_has_nothing_to_say() -> None:
    done = run("hadolint", FILE)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_it_copies_is_there_and_nothing_that_a_service_left() -> None:
    copies = [one for stage in STAGES for one in stage.instructions if one.keyword == "COPY" and not one.options]
    copied = {path.as_posix() for one in copies for path in CONTEXT.files(one.words()[0])}
    assert {"requirements/service.lock", "pyproject.toml", "face_recognition_app/gunicorn_config.py"} <= copied
    assert all(CONTEXT.files(one.words()[0]) for one in copies)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    ours = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert copied <= set(ours.splitlines())


def test_every_module_of_the_service_is_in_it() -> None:
    modules = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "face_recognition_app").rglob("*.py")}
    assert modules <= set(CONTEXT.files("face_recognition_app"))


def test_dependencies_are_those_of_the_lock() -> None:
    [install] = [one.value for stage in STAGES for one in stage.instructions if "pip install" in one.value]
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:", "requirements/service.lock"):
        assert flag in install


def test_it_is_not_root_and_process_1_is_the_service() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", FINAL.last("USER").value)
    for keyword in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        assert FINAL.last(keyword).value.startswith("["), f"{keyword} has a shell, which keeps signals for itself"
    assert FINAL.last("CMD").words()[-2:] == ["-c", "gunicorn_config.py"]


def test_its_variables_are_read_and_its_ports_are_those_of_the_code() -> None:
    ours = {name: value for name, value in FINAL.environment().items() if name.startswith(("FACE_", "APP_"))}
    settings, _ = settings_of({**ours, "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7"})
    assert settings.app_env == "production"
    port = load({}).bind.rpartition(":")[2]
    assert FINAL.last("EXPOSE").value == port
    assert f"http://127.0.0.1:{port}/api/health/" in json.dumps(FINAL.last("HEALTHCHECK").words())
