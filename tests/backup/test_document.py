"""docs/operations/backup.md: its commands do what it says."""

from __future__ import annotations

import re
from pathlib import Path

from backup.files import KEPT, MADE_ANEW
from testkit.service import REPOSITORY
from tests.backup.support import Installation

DOCUMENT = (REPOSITORY / "docs" / "operations" / "backup.md").read_text()


def test_the_commands_of_the_document_work_in_their_order(tmp_path: Path) -> None:
    commands = re.findall(r"^manage\.py ([^#\n]+?) *(?:#.*)?$", DOCUMENT, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["backup", "backup", "restore", "verify_audit"]
    old, new = Installation(tmp_path / "old"), Installation(tmp_path / "new")
    old.manage("prepare")
    backups = tmp_path / "backups"
    backups.mkdir()
    for command in commands:
        made = next(iter(backups.iterdir()), None)
        places = {"/backups/FILE": str(made), "/backups": str(backups)}
        words = [places.get(word, word) for word in command.split()]
        (new if words[0] in ("restore", "verify_audit") else old).manage(*words)


def test_the_document_names_every_place_of_the_data_directory() -> None:
    kept, left_out = (
        {word.rstrip("/") for word in re.findall(r"`([\w-]+/?)`", cell)}
        for cell in ("".join(row.split("|")[column] for row in rows()) for column in (1, 2))
    )
    assert set(KEPT) <= kept
    assert {*MADE_ANEW, "run", "models", "import", "import-reports"} <= left_out


def rows() -> list[str]:
    return [line for line in DOCUMENT.splitlines() if line.startswith(("| the database", "| `keys/`", "| `reports/`"))]
