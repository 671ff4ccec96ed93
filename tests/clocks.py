"""The machine's clock, set while the service runs."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

STEPS_S = [3 * 3_600.0, -3 * 3_600.0]


def step(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the machine's clock forwards or back, as this process sees it."""
    real_s, real = time.time, timezone.now
    monkeypatch.setattr(time, "time", lambda: real_s() + seconds)
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=seconds))
