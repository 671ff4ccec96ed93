"""`.env.example`, as a shell reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from config.job_settings import JobSettings, load_job_settings
from config.management.commands.configuration_docs import EXAMPLE
from config.settings import Settings, load


def sourced(file: Path) -> dict[str, str]:
    """The environment of a process that was started after `set -a; . FILE`, and nothing else."""
    script = 'set -a; . "$0"; exec env -0'
    done = subprocess.run(["sh", "-euc", script, file], env={}, capture_output=True, text=True, check=True)
    found = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    return {name: value for name, value in found.items() if name not in ("PWD", "_", "SHLVL")}


def test_nothing_is_set_by_the_example_itself() -> None:
    assert sourced(EXAMPLE) == {}


def test_every_variable_is_there_with_the_default(tmp_path: Path) -> None:
    used = tmp_path / "env"
    lines = EXAMPLE.read_text().splitlines(keepends=True)
    used.write_text("".join(line[1:] if line[1:2].isupper() else line for line in lines))
    found = sourced(used)
    known = {field.alias for model in (Settings, JobSettings) for field in model.model_fields.values()}
    assert found.keys() == known
    assert load(found) == load({})
    assert load_job_settings(found) == load_job_settings({})
