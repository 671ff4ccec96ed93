"""Runs the locustfile in a process of its own, and sums what Locust counted."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.load.suite.sample import Sample
from bench.load.suite.tools import run_tool

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_ERROR = re.compile(r"^(\d+) +[A-Z]+ [^:]+: (.+?) *$", re.M)
SPAWN_S = 2
"""Time in which all users begin; what they ask for meanwhile is not counted."""


def locust(base_url: str, api_key: str, users: int, seconds: float) -> Sample:
    """`users` backends side by side for `seconds`, after all have begun."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", base_url, "--headless"]
    pace = ["--users", str(users), "--spawn-rate", str(-(-users // SPAWN_S)), "--reset-stats"]
    bounds = ["--run-time", f"{SPAWN_S + round(seconds)}s", "--json", "--exit-code-on-error", "0"]
    environment = {**os.environ, "LOAD_API_KEY": api_key}
    done = run_tool([*command, *pace, *bounds], SPAWN_S + seconds, environment)
    return read_locust(done.stdout, done.stderr)


def read_locust(output: str, errors: str) -> Sample:
    """Sum the entries of `--json`, one for each kind of request, and the report of errors, one for each kind and cause.

    Response times are rounded by Locust, and have those of failures among them.
    """
    entries: list[dict[str, Any]] = json.loads(output)
    times_ms: Counter[float] = Counter()
    for entry in entries:
        times_ms.update({float(ms): count for ms, count in entry["response_times"].items()})
    asked = sum(entry["num_requests"] for entry in entries)
    failures: Counter[str] = Counter()
    for count, cause in _ERROR.findall(errors):
        failures[cause] += int(count)
    seconds = max((entry["last_request_timestamp"] or 0.0 for entry in entries), default=0.0) - min(
        (entry["start_time"] for entry in entries), default=0.0
    )
    return Sample(
        answered=asked - failures.total(),
        failures=dict(failures),
        per_s=(asked - failures.total()) / seconds if seconds > 0 else 0.0,
        mean_ms=sum(entry["total_response_time"] for entry in entries) / asked if asked else None,
        p95_ms=_percentile(times_ms, 0.95),
    )


def _percentile(counts: Counter[float], share: float) -> float | None:
    """The least value that at least `share` of the counted ones do not exceed."""
    left = share * counts.total()
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None
