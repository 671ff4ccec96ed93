"""docs/data-protection.md is true: its table has every model, table and file, and each statement stands on a test."""

from __future__ import annotations

import re
import stat

import pytest
from django.apps import apps
from django.db import connection

from gallery.stores.pgvector import schema
from recognition.export.collecting import SECTIONS
from testkit.service import REPOSITORY, LiveService
from tests.docs.backing_of_cells import CELLS
from tests.docs.backing_of_sentences import SENTENCES
from tests.docs.statements import faults, rows_of

DOCUMENT = (REPOSITORY / "docs" / "data-protection.md").read_text()
ROWS = rows_of(DOCUMENT)


def test_every_statement_has_tests_that_exist() -> None:
    assert list(faults(DOCUMENT, {**CELLS, **SENTENCES})) == []


SHORT = """
# About this

| stored | how long |
|---|---|
| `A` | a day |

- Nothing is kept.
  It is all
  gone. `B` is kept.
"""
HERE = "docs/test_data_protection.py::test_every_statement_has_tests_that_exist"
WHOLE = {
    "`A`, how long: a day": (HERE,),
    "Nothing is kept.": (HERE,),
    "It is all gone.": (HERE,),
    "`B` is kept.": (HERE,),
}


@pytest.mark.parametrize(
    ("document", "backing", "fault"),
    [
        (SHORT, WHOLE, None),
        (SHORT.replace("a day", "a week"), WHOLE, "no test backs: `A`, how long: a week"),
        (SHORT.replace("all\n  gone", "here"), WHOLE, "no test backs: It is here."),
        (SHORT + "\nAnd more.\n", WHOLE, "no test backs: And more."),
        (SHORT, {**WHOLE, "Nothing is kept.": ()}, "no test backs: Nothing is kept."),
        (SHORT, {**WHOLE, "Something else.": (HERE,)}, "the document does not say: Something else."),
        (SHORT, {**WHOLE, "Nothing is kept.": (f"{HERE}_not",)}, f"there is no test {HERE}_not"),
        (SHORT, {**WHOLE, "Nothing is kept.": ("docs/test_gone.py::test_it",)}, "there is no test docs/test_gone.py"),
    ],
)
def test_a_statement_without_a_test_and_a_test_that_is_gone_are_faults(
    document: str, backing: dict[str, tuple[str, ...]], fault: str | None
) -> None:
    told = list(faults(document, backing))
    assert any(one.startswith(fault) for one in told) if fault else told == []


@pytest.mark.usefixtures("transactional_db")
def test_every_model_and_table_has_a_row() -> None:
    models = {model.__name__ for model in apps.get_models()}
    of_pgvector = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", schema._TABLES))
    assert models | of_pgvector == {name for name in ROWS if name.isidentifier()}
    assert {ROWS[name]["where"] for name in models} == {"database"}
    of_models = {model._meta.db_table for model in apps.get_models()}
    assert set(connection.introspection.table_names()) - of_models <= {"django_migrations", *of_pgvector}


def test_what_is_erased_with_a_person_is_what_an_export_has() -> None:
    exported = {model.__name__ for model in SECTIONS} - {"AuditEntry"}
    assert {name for name, cells in ROWS.items() if cells["erased with the person"] == "yes"} == exported


def test_files_are_the_services_alone_and_all_have_a_row(live_service: LiveService) -> None:
    files = [path for path in live_service.data_dir.rglob("*") if path.is_file()]
    assert files
    for path in files:
        first, *others = path.relative_to(live_service.data_dir).parts
        is_public = first == "run" and others[0] == "static"
        assert is_public or not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        row = first.removesuffix("-wal").removesuffix("-shm") if not others else f"{first}/"
        assert ROWS[row]["where"].startswith("data directory"), path
