"""Tables and times for a terminal, and what several actions read from their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from django.core.management.base import BaseCommand

from config.durations import parse_duration

Tone = Literal["SUCCESS", "WARNING", "ERROR"]


def painted(command: BaseCommand, text: str, tone: Tone) -> str:
    """The text in its colour on a terminal; elsewhere as it is."""
    if not command.stdout.isatty():
        return text
    found: str = getattr(command.style, tone)(text)
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the columns below each other."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def span(seconds: float | None) -> str:
    """A duration in its two largest units; `-` for none."""
    if seconds is None:
        return "-"
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    if left < 10:
        return f"{sign}{left:.1f}s"
    units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
    parts: list[tuple[int, str]] = []
    whole = int(left)
    for name, size in units:
        number, whole = divmod(whole, size)
        parts.append((number, name))
    first = next(at for at, (number, _) in enumerate(parts) if number)
    return sign + "".join(f"{number}{name}" for number, name in parts[first : first + 2] if number)


def at(time: datetime | None) -> str:
    return "-" if time is None else time.strftime("%Y-%m-%d %H:%M:%SZ")


def duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def one_of(words: Any) -> dict[str, Any]:
    """Arguments of an option that takes one of an enumeration's words."""
    return {"choices": [str(one) for one in words], "metavar": "|".join(words)}
