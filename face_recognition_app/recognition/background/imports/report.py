"""The report of an import: a CSV file with a line for each picture.

It grows together with the job's checkpoint. Each run writes a file of its own, which begins with what the checkpoint
says is true of the one before: what a killed run has written behind that is left out, and a run that was thought dead
spoils nothing.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

HEAD = ("file", "subject", "outcome", "reason", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""


class Fate(StrEnum):
    ENROLLED = "enrolled"
    REJECTED = "rejected"
    ALREADY_THERE = "already there"


@dataclass(frozen=True, slots=True)
class Row:
    """`reason`: a code of errors, an issue of a picture or a reason of sessions; empty if it was not rejected."""

    file: str
    subject: str
    fate: Fate
    reason: str = ""
    detail: str = ""


class Report:
    """`path`: where it is in the end. `part`: where it grows, `written` bytes so far."""

    def __init__(self, path: Path, run: int) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.{run}")
        self.written = 0

    def begin(self, before: Path | None, good: int) -> None:
        """Go on after the first `good` bytes of what another run has written. Raises OSError."""
        self.part.unlink(missing_ok=True)
        kept = b""
        if before is not None:
            there = before if before.is_file() else self.path
            kept = there.read_bytes()[:good] if there.is_file() else b""
        self._append(kept or _lines([HEAD]))

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows, which are lost unless a checkpoint says `written`. Raises OSError."""
        self._append(
            _lines((_safe(row.file), _safe(row.subject), row.fate, row.reason, _safe(row.detail)) for row in rows)
        )

    def finish(self) -> None:
        """Put the report in its place, and remove what killed runs have left."""
        self.part.replace(self.path)
        beginning = f".{self.path.name}."
        for left in [one for one in self.path.parent.iterdir() if one.name.startswith(beginning)]:
            left.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.part, flags, 0o640), "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.written += len(data)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
