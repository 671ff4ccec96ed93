"""docs/coverage.md has every row of background work and of observing once, and names only tests that exist."""

from __future__ import annotations

import re

from testkit.service import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "coverage.md").read_text()
ROWS = [line.split("|")[1:4] for line in DOCUMENT.splitlines() if re.match(r"\| [A-Z][0-9]+ \|", line)]
OF_JOBS = ["A3", "A4", "A8", "B3", "B5", "B16", "B17", *(f"D{number}" for number in range(1, 19))]
OF_OBSERVING = ["A19", "A20", "A28", "A29", "B11", "M6", "M11", "M12", "M15"]


def test_every_row_is_there_once() -> None:
    in_order = sorted([*OF_JOBS, *OF_OBSERVING], key=lambda row: (row[0], int(row[1:])))
    assert [name.strip() for name, _, _ in ROWS] == in_order


def test_every_row_has_tests_that_exist() -> None:
    for name, _, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, name
        for path, function in tests:
            text = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^(async )?def {function}\(", text, re.M), function
