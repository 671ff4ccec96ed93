"""What is in the files of an index."""

from __future__ import annotations

from pathlib import Path

from gallery.stores import row_file


def graphs(rows: Path) -> list[Path]:
    return list(rows.parent.glob("graph-*"))


def offset_of(path: Path, column: str, row: int = 3) -> int:
    header, _ = row_file.summary(path)
    found = row_file._columns(header.capacity)[0][column]
    return found.offset + row * found.width


def contents(rows: Path) -> list[bytes]:
    return [path.read_bytes() for path in rows.parent.iterdir()]


def traces(rows: Path, row: int) -> tuple[bytes, bytes]:
    """The row's code, and what that leaves."""
    content = rows.read_bytes()
    places = {name: offset_of(rows, name, row) for name in ("remainders", "codes")}
    return content[places["codes"] :][:512], content[places["remainders"] :][:1_024]
