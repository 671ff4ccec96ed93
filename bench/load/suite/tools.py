"""Runs a load tool as a bounded process, and reads what ab and hey print."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

from bench.load.suite.sample import Sample

GRACE_S = 60.0
"""Time that a tool has beside the seconds that it was told to run; ab has it for all its requests."""
_SAID = 300


class ToolFailed(Exception):
    """The tool did not do what it was told; the message says what came of it."""


def run_tool(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool for `seconds`. Raises ToolFailed, also when it does not end."""
    name = command[0].rpartition("/")[2]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE_S, env=environment)
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{name} did not end within {seconds + GRACE_S:g} s") from None
    if done.returncode:
        raise ToolFailed(f"{name} ended with {done.returncode}: {done.stderr.strip()[-_SAID:]}")
    return done


def read_ab(text: str) -> Sample:
    """ab counts an answer of another length as failed, and another status beside it."""
    complete, failed = int(_found(r"Complete requests: +(\d+)", text)), int(_found(r"Failed requests: +(\d+)", text))
    other = re.search(r"Non-2xx responses: +(\d+)", text)
    not_2xx = int(other[1]) if other else 0
    failures = {"status other than 2xx": not_2xx, "failed": max(0, failed - not_2xx)}
    return Sample(
        answered=complete - max(failed, not_2xx),
        failures={kind: count for kind, count in failures.items() if count},
        per_s=float(_found(r"Requests per second: +([\d.]+)", text)),
        mean_ms=float(_found(r"Time per request: +([\d.]+) \[ms\] \(mean\)", text)),
        p95_ms=float(_found(r"^ +95% +(\d+)", text)),
    )


def read_hey(text: str) -> Sample:
    statuses = {int(status): int(count) for status, count in re.findall(r"\[(\d{3})\]\t(\d+) responses", text)}
    answered = sum(count for status, count in statuses.items() if 200 <= status < 300)
    failures = {f"status {status}": count for status, count in statuses.items() if not 200 <= status < 300}
    _, _, errors = text.partition("Error distribution:")
    for count, error in re.findall(r"^ +\[(\d+)\]\t(.+)$", errors, re.M):
        failures[error] = failures.get(error, 0) + int(count)
    if not answered:
        return Sample(0, failures or {"no answer": 1}, None, None, None)
    p95 = re.search(r"95%+ in ([\d.]+) secs", text)
    return Sample(
        answered=answered,
        failures=failures,
        per_s=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        mean_ms=1000 * float(_found(r"Average:\s+([\d.]+) secs", text)),
        p95_ms=1000 * float(p95[1]) if p95 else None,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.M)
    if found is None:
        raise ValueError(f"no {pattern!r} in {text[:_SAID]!r}")
    return found[1]
