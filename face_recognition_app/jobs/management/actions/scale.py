"""manage.py jobs scale: more or fewer slots for workers that run."""

from __future__ import annotations

from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError

from config.job_settings import JobSettings
from jobs.overview.pool_size import CannotScale, scale


def add(actions: Any) -> None:
    parser = actions.add_parser("scale", help="give running workers more or fewer slots")
    parser.add_argument(
        "group", metavar="GROUP", help="WORKER_GROUP of the workers, or what it is by default; or the name of one"
    )
    parser.add_argument("slots", type=int, metavar="N", help="slots of the group's workers together, spread evenly")
    parser.set_defaults(act=change)


def change(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    if settings.is_embedded:
        raise CommandError(
            "without REDIS_URL there is one worker, whose slots WORKER_CONCURRENCY says: set it, and start it again"
        )
    from kombu.exceptions import OperationalError

    try:
        scaled = scale(options["group"], options["slots"])
    except CannotScale as error:
        raise CommandError(str(error)) from error
    except (OperationalError, OSError, redis.RedisError) as error:
        raise CommandError(f"Redis cannot be reached: {error}") from error
    for one in scaled:
        rest = (
            ""
            if one.after == one.wanted
            else f", not {one.wanted}: slots with jobs stay; say it again when they have ended"
        )
        command.stdout.write(f"{one.name}: {one.before} slots before, {one.after} now{rest}")
    before, after = sum(one.before for one in scaled), sum(one.after for one in scaled)
    command.stdout.write(f"{options['group']}: {before} slots before, {after} now; a restart undoes it")
