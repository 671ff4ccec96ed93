"""docs/coverage.md has every row of background work and of running the service, and names only tests that exist."""

from __future__ import annotations

import re

from testkit.service import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "coverage.md").read_text()
ROWS = [line.split("|")[1:4] for line in DOCUMENT.splitlines() if re.match(r"\| [A-Z][0-9]+ \|", line)]
OF_JOBS = ["A3", "A4", "A8", "B3", "B5", "B16", "B17", *(f"D{number}" for number in range(1, 19))]
OF_THE_SERVICE = ["M10", "M19", "A12", "A15", "A16", "A17", "A22", "B6", "B12", "C7", "C9", "C11"]


def test_every_row_is_there_once() -> None:
    expected = sorted(OF_JOBS + OF_THE_SERVICE, key=lambda row: ("MABCD".index(row[0]), int(row[1:])))
    assert [name.strip() for name, _, _ in ROWS] == expected


def test_every_row_has_tests_that_exist() -> None:
    for name, _, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, name
        for path, function in tests:
            text = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^(async )?def {function}\(", text, re.M), function
