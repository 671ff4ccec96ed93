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
