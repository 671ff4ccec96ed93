"""Every module of actions."""

from __future__ import annotations

from typing import Any

from jobs.management.actions import autoscale, capacity, doctor, importing, letters, listing, scale, schedules, status

MODULES = (status, listing, letters, schedules, importing, scale, autoscale, doctor, capacity)


def add(actions: Any) -> None:
    for module in MODULES:
        module.add(actions)
