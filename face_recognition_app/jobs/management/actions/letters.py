"""manage.py jobs replay and purge: dead jobs are queued again, or forgotten."""

from __future__ import annotations

import argparse
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.job_settings import JobSettings
from jobs.management.actions.words import duration, one_of
from jobs.overview import letters
from jobs.overview.letters import Chosen
from vocabulary.jobs import JobType


def add(actions: Any) -> None:
    replaying = actions.add_parser("replay", help="queue dead jobs again, with all their tries before them")
    which = replaying.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=uuid.UUID, metavar="ID", help="this one")
    _type_or_all(which)
    replaying.set_defaults(act=replay)
    purging = actions.add_parser("purge", help="delete dead jobs, and messages that nobody could read")
    which = purging.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=duration, metavar="TIME", help="dead for longer, for example 7d")
    _type_or_all(which)
    purging.add_argument("--yes", action="store_true", help="do not ask")
    purging.set_defaults(act=purge)


def _type_or_all(which: argparse._MutuallyExclusiveGroup) -> None:
    which.add_argument("--type", **one_of(JobType))
    which.add_argument("--all", action="store_true", help="every one")


def replay(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    queued = letters.replay(Chosen(id=options["id"], type=options["type"]))
    if options["id"] is not None and not queued:
        raise CommandError(f"there is no dead job {options['id']}: see jobs list --status dead")
    command.stdout.write(f"{queued} dead jobs are queued again")


def purge(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    chosen = Chosen(type=options["type"], older_than=options["older_than"])
    jobs, messages = chosen.jobs().count(), chosen.unreadable().count()
    if not options["yes"] and not _agreed(f"Delete {jobs} dead jobs and {messages} unreadable messages? [y/N] "):
        raise CommandError("nothing is deleted")
    command.stdout.write(f"{letters.purge(chosen)} dead jobs and messages are deleted")


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
