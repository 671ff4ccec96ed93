"""Running a job worker or a scheduler as this process, for `manage.py jobs`."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

from config.job_settings import JobSettings
from database.calls import with_connection
from jobs.timing import scheduler
from jobs.timing.schedules import ensure_schedules
from jobs.watching.endpoint import endpoint_of
from jobs.watching.log_set_up import set_up_logs
from vocabulary.jobs import WorkerMode

logger = logging.getLogger(__name__)

NICENESS = 10
"""Of every worker: where it shares a machine with people before their cameras, it makes way for them."""


def work(settings: JobSettings, parent: int | None) -> None:
    """Run jobs until told to end, or until the process `parent` has ended.

    Raises embedded.AlreadyRuns, BadAddress and BadLogFile.
    """
    os.nice(max(0, NICENESS - os.nice(0)))
    if settings.mode is WorkerMode.SCHEDULER_ONLY:
        schedule(settings, parent)
        return
    set_up_logs(settings)
    logger.info(
        "a job worker begins: group %s, mode %s, %d slots, priorities %s, %s",
        settings.group,
        settings.mode,
        settings.slots,
        ",".join(settings.priorities),
        f"types {','.join(settings.types)}" if settings.given_types else "every type",
    )
    with_connection(ensure_schedules)
    if settings.is_embedded:
        from jobs.workers import embedded

        embedded.serve(settings, _is_over(parent))
    else:
        # Celery reads it on import: runs get some time to end, and no more.
        os.environ["REMAP_SIGTERM"] = "SIGQUIT"
        from jobs.workers import pooled

        pooled.serve(scheduler.ends_with_parent(parent))


def schedule(settings: JobSettings, parent: int | None) -> None:
    """Publish what is due until told to end, or until the process `parent`, which answers probes, has ended.

    Raises BadAddress and BadLogFile.
    """
    set_up_logs(settings, schedules_only=True)
    with_connection(ensure_schedules)
    with endpoint_of(settings if parent is None else None, lambda: ""):
        scheduler.serve(settings, _is_over(parent))


def _is_over(parent: int | None) -> Callable[[], bool]:
    told, orphaned = told_to_end(), scheduler.ends_with_parent(parent)
    return lambda: told() or orphaned()


def told_to_end() -> Callable[[], bool]:
    """Whether SIGTERM or SIGINT has come since this call."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: came.append(number))
    return lambda: bool(came)
