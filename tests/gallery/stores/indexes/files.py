"""What is in the files of an index."""

from __future__ import annotations

from pathlib import Path

from gallery.stores import row_file


def offset_of(path: Path, column: str, row: int = 3) -> int:
    header, _ = row_file.summary(path)
    found = row_file._columns(header.capacity)[0][column]
    return found.offset + row * found.width


def contents(rows: Path) -> list[bytes]:
    return [path.read_bytes() for path in rows.parent.iterdir()]


def traces(rows: Path, row: int) -> list[bytes]:
    """What is kept of the row's vector: its code, what that leaves, and the words of its signs."""
    content = rows.read_bytes()
    lengths = {"codes": 512, "remainders": 1_024, **dict.fromkeys(row_file.SIGNS, 8)}
    return [content[offset_of(rows, name, row) :][:length] for name, length in lengths.items()]
