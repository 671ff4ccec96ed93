"""manage.py jobs worker|scheduler|import|status|replay|purge"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.job_settings import JobSettings, job_settings
from config.settings import SettingsError
from jobs.management import importing
from vocabulary.jobs import WorkerMode


class Command(BaseCommand):
    help = "Runs background jobs, and shows and changes what became of them."
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("worker", help="run jobs as WORKER_MODE says, until told to end")
        scheduler = actions.add_parser("scheduler", help="publish what is due, until told to end; runs no jobs")
        scheduler.add_argument("--parent", type=int, metavar="PID", help="end when this process has ended")
        importing.add_arguments(actions.add_parser("import", help="enrol people from a folder, a .zip or a .csv"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settings = job_settings()
        except SettingsError as error:
            raise CommandError(str(error)) from error
        if options["action"] == "import":
            importing.run(self, options)
        else:
            ACTIONS[options["action"]](settings, options)


def work(settings: JobSettings, options: dict[str, Any]) -> None:
    from database.calls import with_connection
    from jobs.timing.schedules import ensure_schedules

    with_connection(ensure_schedules)
    if settings.mode is WorkerMode.SCHEDULER_ONLY:
        schedule(settings, options)
    elif settings.is_embedded:
        from jobs.workers.embedded import EmbeddedWorker

        EmbeddedWorker(settings).serve(told_to_end())
    else:
        # Celery reads it on import: runs get some time to end, and no more.
        os.environ["REMAP_SIGTERM"] = "SIGQUIT"
        from jobs.workers import pooled

        pooled.serve()


def schedule(settings: JobSettings, options: dict[str, Any]) -> None:
    from database.calls import with_connection
    from jobs.timing import scheduler
    from jobs.timing.schedules import ensure_schedules

    with_connection(ensure_schedules)
    told, orphaned = told_to_end(), scheduler.ends_with_parent(options.get("parent"))
    scheduler.serve(settings, lambda: told() or orphaned())


def told_to_end() -> Callable[[], bool]:
    """Whether SIGTERM or SIGINT has come since this call."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: came.append(number))
    return lambda: bool(came)


ACTIONS: dict[str, Callable[[JobSettings, dict[str, Any]], None]] = {"worker": work, "scheduler": schedule}
