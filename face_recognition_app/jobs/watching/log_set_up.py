"""Where the lines of a job worker's processes go."""

from __future__ import annotations

from config.job_settings import JobSettings
from config.service import service_settings
from logs import destinations
from vocabulary.jobs import WorkerMode

SCHEDULER = "scheduler"


def set_up_logs(settings: JobSettings, *, schedules_only: bool = False) -> None:
    """Replace what Django's settings have set up, in this process and those that are forked from it.

    `schedules_only`: this process runs no jobs, whatever the mode says. Raises BadLogFile.
    """
    mode = WorkerMode.SCHEDULER_ONLY if schedules_only else settings.mode
    is_scheduler = mode is WorkerMode.SCHEDULER_ONLY
    process = destinations.this_process(SCHEDULER if is_scheduler else settings.group, mode.value)
    name = SCHEDULER if is_scheduler else f"worker-{settings.group}"
    file = destinations.log_file(settings, service_settings().data_dir, name)
    destinations.set_up_logs(settings, process, file)
