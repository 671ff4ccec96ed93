"""manage.py jobs worker|scheduler, and what jobs.management.actions has"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.job_settings import JobSettings, job_settings, lines_of
from config.settings import SettingsError
from jobs.management.actions import every
from logs.destinations import BadLogFile


class Command(BaseCommand):
    help = "Runs background jobs, and shows and changes what became of them."
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        worker = actions.add_parser("worker", help="run jobs as WORKER_MODE says, until told to end")
        worker.add_argument("--parent", type=int, metavar="PID", help="end when this process has ended")
        worker.add_argument("--print-config", action="store_true", help="print the configuration, and end")
        scheduler = actions.add_parser("scheduler", help="publish what is due, until told to end; runs no jobs")
        scheduler.add_argument("--parent", type=int, metavar="PID", help="end when this process has ended")
        every.add(actions)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settings = job_settings()
        except SettingsError as error:
            raise CommandError(str(error)) from error
        from jobs.watching.endpoint import BadAddress
        from jobs.workers.embedded import AlreadyRuns

        try:
            if act := options.get("act"):
                act(self, settings, options)
            else:
                ACTIONS[options["action"]](settings, options)
        except (AlreadyRuns, BadAddress, BadLogFile) as error:
            raise CommandError(str(error)) from error


def work(settings: JobSettings, options: dict[str, Any]) -> None:
    from jobs.workers import running

    if options["print_config"]:
        print("\n".join(lines_of(settings)))  # noqa: T201
    else:
        running.work(settings, options["parent"])


def schedule(settings: JobSettings, options: dict[str, Any]) -> None:
    from jobs.workers import running

    running.schedule(settings, options["parent"])


ACTIONS: dict[str, Callable[[JobSettings, dict[str, Any]], None]] = {"worker": work, "scheduler": schedule}
