"""The service's application with a database whose statements each take longer, by the number of seconds in the
file BENCH_QUERY_S_FILE."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.signals import connection_created

from face_app.asgi import application

__all__ = ["application"]

_SECONDS = Path(os.environ["BENCH_QUERY_S_FILE"])


def _slowly(execute: Callable[..., Any], *arguments: Any) -> Any:
    time.sleep(float(_SECONDS.read_text()))
    return execute(*arguments)


def _slow_down(connection: Any, **_: Any) -> None:
    connection.execute_wrappers.append(_slowly)


connection_created.connect(_slow_down, weak=False)
