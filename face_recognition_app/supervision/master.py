"""Gunicorn's running master, asked and told through its control socket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn.ctl.client import ControlClient, ControlClientError

_ANSWERS_WITHIN_S = 10.0


class NoMaster(Exception):
    """No master answers at the socket."""


@dataclass(frozen=True, slots=True)
class Master:
    pid: int
    wanted: int
    """Number of workers that it keeps."""
    workers: tuple[int, ...]
    """Process ids, those that start or end among them."""
    uptime_s: float
    reloads: int


def ask(control_socket: Path) -> Master:
    """Raises NoMaster."""
    stats, workers = _send(control_socket, "show stats"), _send(control_socket, "show workers")
    return Master(
        pid=stats["pid"],
        wanted=stats["workers_target"],
        workers=tuple(worker["pid"] for worker in workers["workers"]),
        uptime_s=stats["uptime"] or 0.0,
        reloads=stats["reloads"],
    )


def scale(control_socket: Path, number: int) -> int:
    """Have it keep this number of workers; returns how many it has kept so far. Raises NoMaster."""
    before = ask(control_socket).wanted
    if number > before:
        _send(control_socket, f"worker add {number - before}")
    elif number < before:
        _send(control_socket, f"worker remove {before - number}")
    return before


def _send(control_socket: Path, command: str) -> Any:
    try:
        with ControlClient(str(control_socket), _ANSWERS_WITHIN_S) as client:
            return client.send_command(command)
    except ControlClientError as error:
        raise NoMaster(str(error)) from error
