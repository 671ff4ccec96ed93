"""docs/operations names what there is: verbs of service.sh, units, variables."""

from __future__ import annotations

import re

from supervision.__main__ import VERBS
from testkit.service import REPOSITORY

SERVICE = (REPOSITORY / "docs" / "operations" / "service.md").read_text()
UNITS = {
    "face-service.service",
    *(path.name for path in (REPOSITORY / "deploy" / "systemd").iterdir() if path.suffix in (".service", ".target")),
}


def test_every_verb_is_documented_and_no_other() -> None:
    assert set(re.findall(r"\./service\.sh (\w+)", SERVICE)) == set(VERBS)


def test_every_unit_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(face[\w@.-]+)` \|", SERVICE, re.M)
    assert {row.replace("@NAME", "@") for row in rows} == UNITS


def test_the_files_that_are_copied_are_there() -> None:
    named = re.findall(r"\b(?:deploy|face_recognition_app)/[\w./@-]*\w\.\w+", SERVICE)
    assert len(named) >= 5
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


LIMITS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in SERVICE.partition("## What a worker takes at most")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and "`" in line
]


def test_each_limit_of_a_worker_has_its_setting_with_its_default_and_a_test() -> None:
    configuration = (REPOSITORY / "docs" / "configuration.md").read_text()
    assert len(LIMITS) >= 8
    for _, setting, default, _, shown in LIMITS:
        assert f"| {setting} | {default} |" in configuration, setting
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, setting
        for path, function in tests:
            assert f"def {function}(" in (REPOSITORY / "tests" / path).read_text(), function


def test_each_limit_is_told_by_a_metric_that_is_documented() -> None:
    metrics = (REPOSITORY / "docs" / "operations" / "metrics.md").read_text()
    for _, setting, _, told, _ in LIMITS:
        for metric in re.findall(r"face_\w+", told):
            assert f"| `{metric}` |" in metrics, setting
