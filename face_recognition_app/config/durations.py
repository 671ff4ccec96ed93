"""Durations: parsing of 90, 100ms, 30m, 24h or 90d, and conversion of units."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

_UNITS = {"": "seconds", "ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=3_650)


def parse_duration(text: str) -> timedelta:
    """Parse a whole number of seconds, or of the unit that follows it: ms, s, m, h or d. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|[smhd]?)", text)
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if duration is None or duration > LONGEST:
        raise ValueError(f"{text!r}: use a number of seconds, or for example 30m, 24h or 90d; at most {LONGEST.days}d")
    return duration


def milliseconds_until(end: datetime, now: datetime) -> int:
    """Milliseconds from `now` to `end`; 0 if `end` is past."""
    return max(0, int((end - now).total_seconds() * 1000))


def whole_seconds(milliseconds: int) -> int:
    """Milliseconds as whole seconds, rounded up: a client that waits as long does not come too early."""
    return math.ceil(milliseconds / 1000)
