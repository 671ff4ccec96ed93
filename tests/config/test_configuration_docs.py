"""manage.py configuration_docs"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.management.commands import configuration_docs
from config.settings import REPOSITORY, Settings
from vocabulary.sessions import REASONS
from wire.codes import GUIDANCE_MESSAGES


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the pages that may be written to."""
    paths = []
    for name in ("CONFIGURATION", "ERRORS", "EXAMPLE"):
        original: Path = getattr(configuration_docs, name)
        copy = tmp_path / original.name
        copy.write_text(original.read_text())
        monkeypatch.setattr(configuration_docs, name, copy)
        paths.append(copy)
    return paths


def test_the_pages_are_current() -> None:
    call_command("configuration_docs", "--check")


@pytest.mark.parametrize(
    ("page", "was", "became"),
    [
        (0, "| `8` |", "| `9` |"),
        (1, "| Hold still. |", "| Freeze. |"),
        (1, "| 413 |", "| 414 |"),
        (1, "| 4409 | no |", "| 4409 | yes |"),
        (1, "| 4401 | The token", "| 4402 | The token"),
        (2, "#JOB_TIMEOUT=300s", "#JOB_TIMEOUT=30s"),
    ],
)
def test_a_page_that_is_not_current_is_detected_and_rewritten(
    copies: list[Path], page: int, was: str, became: str
) -> None:
    before = copies[page].read_text()
    assert was in before
    copies[page].write_text(before.replace(was, became))
    with pytest.raises(CommandError, match=f"{copies[page].name} is not current"):
        call_command("configuration_docs", "--check")
    call_command("configuration_docs")
    assert copies[page].read_text() == before


def test_a_missing_page_is_detected(copies: list[Path]) -> None:
    copies[0].unlink()
    with pytest.raises(CommandError, match=r"configuration\.md is not current"):
        call_command("configuration_docs", "--check")


def test_text_around_the_tables_stays(copies: list[Path]) -> None:
    copies[1].write_text(copies[1].read_text() + "\nBy hand.\n")
    call_command("configuration_docs")
    assert copies[1].read_text().endswith("\nBy hand.\n")


def test_a_page_that_lost_the_place_of_its_table_is_not_overwritten(copies: list[Path]) -> None:
    copies[1].write_text("# Errors\n")
    with pytest.raises(CommandError, match="http: generated"):
        call_command("configuration_docs")
    assert copies[1].read_text() == "# Errors\n"


def test_every_variable_has_a_row_with_its_description() -> None:
    rows = [line.split(" | ", 2) for line in configuration_docs.configuration_page().splitlines() if line[:3] == "| `"]
    assert [row[0].strip("| `") for row in rows] == [field.alias for field in Settings.model_fields.values()]
    assert all(len(row[2]) > 10 for row in rows)


def test_the_page_is_the_same_on_every_machine() -> None:
    page = configuration_docs.configuration_page()
    assert str(REPOSITORY) not in page
    assert "PydanticUndefined" not in page
    assert "| `FACE_DATA_DIR` | `var` |" in page
    assert "| `FACE_MODEL_DIR` | `var/models` |" in page
    assert "| `GUNICORN_WORKERS` | by `WORKER_PROFILE` |" in page


def test_limits_and_choices_are_in_the_table() -> None:
    page = configuration_docs.configuration_page()
    assert "At least 1 and at most 128. |" in page
    assert "More than 0 and less than 1. |" in page
    assert "One of `development`, `staging`, `production`. |" in page


def test_every_guidance_and_reason_is_listed_with_its_message() -> None:
    page = configuration_docs.ERRORS.read_text()
    for code, words in GUIDANCE_MESSAGES.items():
        assert f"| `{code}` | {words} |" in page
    for reason, told in REASONS.items():
        assert f"| `{reason}` | {told.meaning} | {'yes' if told.counts else 'no'} |" in page
