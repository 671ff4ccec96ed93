"""Progress of a backup on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from backup.taking import OnBytes


@contextmanager
def bytes_bar(what: str) -> Iterator[OnBytes]:
    """A function that is told of further bytes."""
    with tqdm(desc=what, unit="B", unit_scale=True, file=sys.stderr, disable=None, leave=False) as bar:
        yield bar.update
