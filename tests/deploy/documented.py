"""Names in the documents of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable

from testkit.service import REPOSITORY

METRICS = REPOSITORY / "docs" / "operations" / "metrics.md"
JOB_METRICS = REPOSITORY / "docs" / "jobs-metrics.md"


def documented() -> set[str]:
    """Metrics of the web service."""
    return set(re.findall(r"^\| `(face_\w+)`", METRICS.read_text(), re.MULTILINE))


def documented_of_jobs() -> set[str]:
    return set(re.findall(r"^\| `(face_jobs_\w+)`", JOB_METRICS.read_text(), re.MULTILINE))


def asked_for(expressions: Iterable[str]) -> set[str]:
    """Metrics that expressions of Prometheus ask for: histograms by their own name, recorded ones left out."""
    names = re.findall(r"\bface_[a-z_0-9]+\b(?!:)", " ".join(expressions))
    return {re.sub(r"_seconds_(sum|count|bucket)$", "_seconds", name) for name in names}
