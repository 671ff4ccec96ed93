"""A progress bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

_BAR = 40


def progress(what: str) -> Callable[[int, int], None]:
    """A function that is told how many of how many are done, and shows it on a terminal."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            sys.stderr.write(f"\r[{'#' * (_BAR * done // total):<{_BAR}}] {done}/{total} {what}{end}")

    return show
