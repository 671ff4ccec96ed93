"""Splits a document into what it states: each sentence of its text, and each cell of its table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
_END = re.compile(r"(?<=\.)\s+(?=[A-Z`])")
"""A sentence ends with a full stop before a capital letter or something named."""

Backing = Mapping[str, tuple[str, ...]]
"""Tests by what they back; each as `FOLDER/test_file.py::test_name`, from the folder of the tests."""


def statements(document: str) -> list[str]:
    return [*cells(document), *sentences(document)]


def rows_of(document: str) -> dict[str, dict[str, str]]:
    """Text by column of each row of the document's table, by what its first cell names."""
    lines = [_split(line) for line in document.splitlines() if line.startswith("|")]
    if not lines:
        return {}
    head, _, *body = lines
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in body}


def cells(document: str) -> list[str]:
    """`ROW, COLUMN: TEXT` of each cell that says something."""
    return [
        f"`{row}`, {column}: {text}"
        for row, texts in rows_of(document).items()
        for column, text in texts.items()
        if text
    ]


def sentences(document: str) -> list[str]:
    return [part for block in _blocks(document) for part in _END.split(block)]


def faults(document: str, backing: Backing) -> Iterator[str]:
    """What is wrong with the backing of a document, in words: nothing when every statement has tests that exist."""
    stated = statements(document)
    yield from (f"no test backs: {statement}" for statement in stated if not backing.get(statement))
    yield from (f"the document does not say: {statement}" for statement in backing if statement not in stated)
    named = {test for tests in backing.values() for test in tests}
    yield from (f"there is no test {test}" for test in sorted(named) if not _exists(test))


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return name in _tests_in(TESTS / path)


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, functions)]
    return frozenset(name for name in found if name.startswith("test_"))


def _split(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _blocks(document: str) -> Iterator[str]:
    """Each paragraph and each point of a list, on one line."""
    for paragraph in re.split(r"\n\s*\n", document):
        lines = [line for line in paragraph.splitlines() if line and not line.startswith(("#", "|"))]
        for block in re.split(r"\n(?=- )", "\n".join(lines)):
            text = re.sub(r"\s+", " ", block.removeprefix("- ")).strip()
            if text:
                yield text
