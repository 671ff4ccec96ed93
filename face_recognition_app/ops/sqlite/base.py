"""Django's SQLite backend, for a file that is moved, replaced or deleted while it is served.

SQLite goes on with the file it has opened, which nobody will see again.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

SETTLE_S = 3.0
"""From when another file is seen at the path until it is opened: what the old one had open is closed by then, in every
worker. SQLite finds its log by the path, and would read the old file's log into the new file."""

Identity = tuple[int, int]
"""Device and inode."""


def identity(path: str) -> Identity | None:
    """Of the file at `path`; None when there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class ServedFile:
    """The file that this process serves from one path."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: Identity | None = None
        self._other: Identity | None = None
        self._other_seen_at = 0.0

    def admit(self, found: Identity) -> None:
        """Raises OperationalError for another file than the one before, until it has lain there for SETTLE_S."""
        with self._lock:
            if self._served is None or found == self._served:
                self._served = found
                return
            if found != self._other:
                self._other, self._other_seen_at = found, time.monotonic()
            if time.monotonic() - self._other_seen_at < SETTLE_S:
                raise OperationalError("the database file was replaced; the new one is opened in a moment")
            self._served = found


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes one option more, `mode`: `rw` does not make a file that is missing; `rwc`, the default, does."""

    _served: dict[str, ServedFile] = {}
    _opened: Identity | None = None

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        mode = params.pop("mode", "rwc")
        if not self.is_in_memory_db():
            params["database"] = f"{Path(params['database']).absolute().as_uri()}?mode={mode}"
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        found = identity(self.settings_dict["NAME"])
        if found is not None:
            self._served.setdefault(self.settings_dict["NAME"], ServedFile()).admit(found)
        connection = super().get_new_connection(conn_params)
        self._opened = found or identity(self.settings_dict["NAME"])
        return connection

    def is_usable(self) -> bool:
        return self.is_in_memory_db() or self._opened == identity(self.settings_dict["NAME"])

    def _commit(self) -> None:
        """What was written into a file that is gone is not told as done."""
        if not self.is_usable():
            raise OperationalError("the database file was moved away")
        super()._commit()  # type: ignore[misc]  # not in the stubs
