"""Progress bar on a terminal."""

from __future__ import annotations

import sys


class Progress:
    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0

    def step(self) -> None:
        self._done += 1
        if sys.stderr.isatty() and (self._done % 20 == 0 or self._done == self._total):
            bar = "#" * (40 * self._done // self._total)
            end = "\n" if self._done == self._total else ""
            print(f"\r[{bar:<40}] {self._done}/{self._total} {self._what}", end=end, file=sys.stderr, flush=True)
