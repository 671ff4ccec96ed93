"""Formats plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with right-aligned columns as wide as their widest cell."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def number(value: float | None, decimals: int = 0) -> str:
    """`value` with `decimals` decimals; a dash for None."""
    return "-" if value is None else f"{value:.{decimals}f}"
