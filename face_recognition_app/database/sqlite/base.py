"""Django's SQLite backend, for a file that is moved, replaced or deleted while it is in use.

SQLite would go on with the file that it has opened, and leave its log at the old path, to be read into the next file
there. So each connection notices the move, and empties the log into the file it belongs to before it closes that.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

REPLACEMENT_SETTLE_S = 3.0
"""Time for which another file must lie at the path until it is opened: by then each worker has closed the old one."""

FileIdentity = tuple[int, int]
"""Device and inode."""


def file_identity(path: str) -> FileIdentity | None:
    """Identity of the file at `path`; None if there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class ServedFile:
    """Decides which file this process uses at one path."""

    def __init__(self) -> None:
        self.log_is_empty = True
        """Whether the log of the last moved file was emptied before the file was closed."""
        self._lock = threading.Lock()
        self._served: FileIdentity | None = None
        self._other: FileIdentity | None = None
        self._other_seen_at = 0.0

    def admit(self, found: FileIdentity) -> None:
        """Raises OperationalError for a file that replaced another one, until it has lain there long enough."""
        with self._lock:
            if self._served is None or found == self._served:
                self._served = found
                return
            if found != self._other:
                self._other, self._other_seen_at = found, time.monotonic()
            if time.monotonic() - self._other_seen_at < REPLACEMENT_SETTLE_S:
                raise OperationalError("the database file was replaced; the new one is opened in a moment")
            if not self.log_is_empty:
                raise OperationalError("the database file was replaced, but its log is still there: put it back")
            self._served = found


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes one more option, `mode`: `rwc`, the default, makes a missing file; `rw` does not."""

    _files: dict[str, ServedFile] = {}
    _opened: FileIdentity | None = None

    @property
    def _file(self) -> ServedFile:
        return self._files.setdefault(self.settings_dict["NAME"], ServedFile())

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        mode = params.pop("mode", "rwc")
        if not self.is_in_memory_db():
            params["database"] = f"{Path(params['database']).absolute().as_uri()}?mode={mode}"
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        found = file_identity(self.settings_dict["NAME"])
        if found is not None:
            self._file.admit(found)
        connection = super().get_new_connection(conn_params)
        self._opened = found or file_identity(self.settings_dict["NAME"])
        return connection

    def is_usable(self) -> bool:
        return self.is_in_memory_db() or self._opened == file_identity(self.settings_dict["NAME"])

    def _commit(self) -> None:
        """Raises OperationalError for a moved file: what was written there must not be reported as done."""
        if not self.is_usable():
            raise OperationalError("the database file was moved away")
        super()._commit()  # type: ignore[misc]  # not in the stubs

    def _close(self) -> None:
        if self.connection is not None and not self.is_usable():
            self._file.log_is_empty = self._empty_log()
        super()._close()  # type: ignore[misc]

    def _empty_log(self) -> bool:
        with contextlib.suppress(self.Database.Error):
            self.connection.rollback()
            busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        return False
