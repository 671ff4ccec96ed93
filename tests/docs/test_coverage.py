"""docs/coverage.md has every row of background work once, and names only tests that exist."""

from __future__ import annotations

import re

from testkit.service import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "coverage.md").read_text()
ROWS = [line.split("|")[1:4] for line in DOCUMENT.splitlines() if re.match(r"\| [A-Z][0-9]+ \|", line)]
LISTED = [
    *("A3", "A4", "A8", "A24", "A29", "B3", "B5", "B15", "B16", "B17", "C5", "C6"),
    *(f"D{number}" for number in range(1, 19)),
]


def test_every_row_is_there_once() -> None:
    assert [name.strip() for name, _, _ in ROWS] == LISTED


def test_every_row_has_tests_that_exist() -> None:
    for name, _, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, name
        for path, function in tests:
            text = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^(async )?def {function}\(", text, re.M), function
