"""docs/coverage.md has every row once, and names only tests that exist."""

from __future__ import annotations

import re

from testkit.service import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "coverage.md").read_text()
ROWS = [line.split("|")[1:4] for line in DOCUMENT.splitlines() if re.match(r"\| [A-Z][0-9]+ \|", line)]
OF_JOBS = ["A3", "A4", "A8", "B3", "B5", "B16", "B17", *(f"D{number}" for number in range(1, 19))]
OF_WORKERS = [f"M{number}" for number in (*range(1, 10), 11, 14)]
OF_WORKERS += ["A1", "A2", "A13", "A14", "A16", "A23", "B7", "B8", *(f"C{number}" for number in (*range(1, 7), 11, 14))]


def test_every_row_is_there_once() -> None:
    assert [name.strip() for name, _, _ in ROWS] == [*OF_JOBS, *OF_WORKERS]


def test_every_row_has_tests_that_exist() -> None:
    for name, _, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, name
        for path, function in tests:
            text = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^(async )?def {function}\(", text, re.M), function
