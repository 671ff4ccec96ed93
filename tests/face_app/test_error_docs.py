"""docs/errors.md against the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ImageError
from ops.settings import REPOSITORY
from recognition.http_errors import DOMAIN_ERRORS, STATUS_CODES, as_api_error
from tests.wire.test_errors import every_kind
from wire.errors import UnusableFrame, WireError

PAGE = REPOSITORY / "docs" / "errors.md"
IMAGE_CODES = sorted({kind.code for kind in ImageError.__subclasses__()})


def table_under(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cell by cell."""
    lines = PAGE.read_text().split(f"{heading}\n", 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" `") for cell in line.strip("|").split("|")])
    return rows


def literal_codes(path: Path) -> Iterator[tuple[str, int]]:
    """Every `status, "code"` side by side in a module, as arguments or in a tuple."""
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        match parts[:2]:
            case [ast.Constant(int(status)), ast.Constant(str(code))] if status >= 400:
                yield code, status


def codes_in_the_code() -> set[tuple[str, int]]:
    application = REPOSITORY / "face_recognition_app"
    modules = [
        module for package in ("recognition", "ops", "server") for module in (application / package).rglob("*.py")
    ]
    found = {pair for module in modules for pair in literal_codes(module)}
    found |= {(code, status) for status, code in STATUS_CODES.items()}
    return found | {("no_face", 422), ("multiple_faces", 422)}


def test_the_search_for_codes_finds_those_of_the_tables() -> None:
    assert {(code, status) for status, code in DOMAIN_ERRORS.values()} < codes_in_the_code()
    assert ("validation_error", 422) in codes_in_the_code()


def test_every_http_code_is_told_with_its_status_and_no_other_is() -> None:
    documented = [(row[0], int(row[1])) for row in table_under("## HTTP")]
    assert len(documented) == len(set(documented))
    assert set(documented) == codes_in_the_code()


def test_every_socket_error_is_told_with_its_close_code_and_no_other_is() -> None:
    documented = {(code, closes, retryable == "yes") for code, closes, retryable, _ in table_under("## Socket")}
    kinds = set(every_kind()) - {WireError, UnusableFrame}
    expected = {(kind.code, str(kind.close_code or ""), kind.retryable) for kind in kinds}
    expected |= {(code, "", UnusableFrame.retryable) for code in IMAGE_CODES}
    assert documented == expected


def test_every_close_code_is_told() -> None:
    documented = [int(row[0]) for row in table_under("### Close codes")]
    of_errors = {kind.close_code for kind in every_kind() if kind.close_code}
    assert documented == sorted({1000, 1001, 1009, 1012} | of_errors)


def test_every_row_says_what_it_means() -> None:
    for heading in ("## HTTP", "## Socket", "### Close codes", "## Guidance", "## Reasons"):
        assert all(row[-1].endswith(".") for row in table_under(heading))


@pytest.mark.parametrize("code", IMAGE_CODES)
def test_a_picture_that_cannot_be_used_is_told_alike_in_an_upload_and_in_a_session(code: str) -> None:
    upload = as_api_error(next(kind for kind in ImageError.__subclasses__() if kind.code == code)("broken"))
    frame = as_api_error(UnusableFrame("broken", code))
    assert (frame.status, frame.code, frame.message) == (upload.status, code, "broken")
    assert 400 <= frame.status < 500
