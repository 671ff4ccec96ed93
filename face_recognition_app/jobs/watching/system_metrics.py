"""The log line in which a job worker says at intervals how it does."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from jobs.watching.tally import Figures
from logs.formats import FIGURES

logger = logging.getLogger(__name__)

MESSAGE = "System metrics"


def log_system_metrics(figures: Figures, depths: Mapping[str, int] | None) -> None:
    """Counts, mean and error rate are since the start, utilisation is of the last minute. `depths`: jobs that wait, by
    priority; None when they cannot be counted now."""
    found = {
        "jobs_processed": figures.processed,
        "jobs_completed": figures.completed,
        "jobs_failed": figures.failed,
        "runs_retried": figures.retried,
        "avg_duration_ms": round(1_000 * figures.mean_s),
        "worker_utilization": f"{100 * figures.utilisation:.1f}%",
        "error_rate": f"{100 * figures.error_rate:.2f}%",
        "uptime": in_words(figures.uptime_s),
        "slots": figures.slots,
        "running": figures.running,
        "queue_depths": None if depths is None else dict(depths),
    }
    logger.info(MESSAGE, extra={FIGURES: found})


def in_words(seconds: float) -> str:
    """As in 2h15m30s: larger units are there from the first that is not zero."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
