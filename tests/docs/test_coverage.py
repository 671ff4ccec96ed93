"""docs/coverage.md has every row once, and names only tests that exist."""

from __future__ import annotations

import re

from testkit.service import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "coverage.md").read_text()
ROWS = [line.split("|")[1:4] for line in DOCUMENT.splitlines() if re.match(r"\| [A-Z][0-9]+ \|", line)]
LAST = {"M": 19, "A": 30, "B": 19, "C": 14, "D": 18}
"""Of each of the original documents, the number of its rows."""


def test_every_row_is_there_once() -> None:
    assert [name.strip() for name, _, _ in ROWS] == [
        f"{document}{number}" for document, last in LAST.items() for number in range(1, last + 1)
    ]


def test_every_row_has_tests_that_exist() -> None:
    for name, _, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests, name
        for path, function in tests:
            text = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^(async )?def {function}\(", text, re.M), function
