"""Processes with all that descend from them."""

from __future__ import annotations

from contextlib import suppress

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process, and those that descend from it; none once it has ended."""
    try:
        own = psutil.Process(pid)
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def commands(pid: int) -> list[list[str]]:
    """The command line of each of them that lives."""
    found = []
    for one in family(pid):
        with suppress(psutil.NoSuchProcess):
            found.append(one.cmdline())
    return found


def kill_family(pid: int) -> None:
    """End all of it at one moment, as a machine does that loses its power."""
    members = family(pid)
    for one in members:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    for one in members:
        with suppress(psutil.NoSuchProcess):
            one.kill()
