"""The metrics of all workers as Prometheus text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from monitoring.collectors.pools import PoolCollector
from monitoring.collectors.processes import ProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def exposition(run_dir: Path, others: Sequence[Collector] = ()) -> bytes:
    """The metrics of all workers, and those of `others`, as Prometheus text."""
    registry = CollectorRegistry()
    for collector in (PoolCollector(run_dir), ProcessCollector(run_dir), *others):
        registry.register(collector)
    shared = os.environ.get(MULTIPROCESS_VARIABLE)
    if shared is not None and Path(shared).is_dir():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)
