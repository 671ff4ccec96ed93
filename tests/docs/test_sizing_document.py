"""docs/sizing.md agrees with the code."""

from __future__ import annotations

import re
from typing import get_args

from config.sizing.guides import LAUNCHES, profile_workers
from config.sizing.workers import WorkerProfile, by_environment
from testkit.service import REPOSITORY
from tests.processes import APPLICATION

DOCUMENT = (REPOSITORY / "docs" / "sizing.md").read_text()


def test_every_profile_is_there_with_its_workers_for_six_cores() -> None:
    told = dict(re.findall(r"^\| `(\w+)`(?: \(default\))? \|.*\| ([\d, ]+) \|$", DOCUMENT, re.MULTILINE))
    assert list(told) == list(get_args(WorkerProfile))
    by_environments = [by_environment(name, 6) for name in ("development", "staging", "production")]
    assert told.pop("environment") == ", ".join(map(str, by_environments))
    assert {name: int(workers) for name, workers in told.items()} == {
        name: profile_workers(name, 6)[0] for name in get_args(WorkerProfile) if name != "environment"
    }


def test_the_ways_to_start_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\w+) \| `([A-Z_]+=[^`]*)` \|$", DOCUMENT, re.MULTILINE)
    told = {name: dict(pair.split("=") for pair in variables.split()) for name, variables in rows}
    assert told == {launch.name: launch.variables for launch in LAUNCHES}


def test_the_hooks_that_are_named_are_those_that_log() -> None:
    logged = set(re.findall(r'_note\("(\w+)"', (APPLICATION / "gunicorn_config.py").read_text()))
    line = DOCUMENT.partition("at level info: ")[2].partition(". A worker")[0]
    assert set(re.findall(r"`(\w+)`", line)) == logged
