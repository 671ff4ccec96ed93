"""docs/jobs.md names every type with its fields and scope, every status and mode, and every action of the command."""

from __future__ import annotations

import argparse
import re

import pytest
from django.core.management.base import CommandParser

from jobs.kinds import catalogue
from jobs.management.actions import every
from jobs.overview.checks import Limits
from recognition.api.jobs.jobs import MAX_PAYLOAD_CHARACTERS
from testkit.service import REPOSITORY
from vocabulary.jobs import JobStatus, JobType, WorkerMode

DOCUMENT = (REPOSITORY / "docs" / "jobs.md").read_text()
ROWS = {
    cells[0].strip(" `"): [cell.strip() for cell in cells[1:]]
    for line in DOCUMENT.splitlines()
    if line.startswith("| `")
    for cells in [line.strip("|").split("|")]
}


@pytest.mark.parametrize("word", [*JobType, *JobStatus, *WorkerMode])
def test_every_word_has_a_row(word: str) -> None:
    assert word in ROWS


@pytest.mark.parametrize("type_", list(catalogue()))
def test_the_row_of_a_type_has_its_scope_and_fields(type_: JobType) -> None:
    kind, (_, scope, fields) = catalogue()[type_], ROWS[type_]
    assert scope == ("" if kind.scope is None or kind.of_tenant == "never" else f"`{kind.scope}`")
    assert set(re.findall(r"`(\w+)`", fields)) == set(kind.payload.model_fields)


def test_every_action_is_told() -> None:
    actions = CommandParser().add_subparsers()
    every.add(actions)
    assert isinstance(actions, argparse._SubParsersAction)
    assert [name for name in actions.choices if not re.search(rf"`{name}[` ]", DOCUMENT)] == []


def test_figures_are_those_of_the_code() -> None:
    usual = Limits()
    assert f"{MAX_PAYLOAD_CHARACTERS:,} characters" in DOCUMENT
    assert f"no more than {usual.depth:,} waiting" in DOCUMENT
    assert f"longer than {usual.age.total_seconds() / 60:.0f} minutes" in DOCUMENT
    assert f"no more than {usual.error_rate * 100:.0f} %" in DOCUMENT
