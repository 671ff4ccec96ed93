"""manage.py jobs list and show: single jobs, with what their failures left."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.chain import Event, record
from config.job_settings import JobSettings
from jobs.management.actions.words import at, one_of, table
from jobs.models import DeadLetter, Job
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus, JobType

USUAL_LIMIT = 20


def add(actions: Any) -> None:
    listing = actions.add_parser("list", help="jobs, newest first")
    listing.add_argument("--status", **one_of(JobStatus))
    listing.add_argument("--type", **one_of(JobType))
    listing.add_argument("--tenant", metavar="NAME", help="of this tenant alone")
    listing.add_argument("--limit", type=int, default=USUAL_LIMIT, metavar="N", help=f"default: {USUAL_LIMIT}")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(act=list_)
    showing = actions.add_parser("show", help="one job, with the tracebacks of its end")
    showing.add_argument("id", type=uuid.UUID, metavar="ID", help="as list and the API tell it")
    showing.add_argument("--json", action="store_true", help="print JSON")
    showing.set_defaults(act=show)


def list_(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    rows = Job.across_tenants.select_related("tenant").order_by("-pk")
    for option, field in (("status", "status"), ("type", "type"), ("tenant", "tenant__name")):
        if options[option] is not None:
            rows = rows.filter(**{field: options[option]})
    found = [_told(job) for job in rows[: max(0, options["limit"])]]
    if options["json"]:
        command.stdout.write(json.dumps(found))
        return
    cells = [
        [told[name] or "-" for name in ("id", "type", "priority", "status", "tenant", "created_at", "error")]
        for told in found
    ]
    command.stdout.write("\n".join(table(["ID", "TYPE", "PRIORITY", "STATUS", "TENANT", "CREATED", "ERROR"], cells)))


def show(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    job = Job.across_tenants.select_related("tenant").filter(public_id=options["id"]).first()
    if job is None:
        raise CommandError(f"there is no job {options['id']}")
    if job.tenant_id is not None:  # What it is asked for and has found may be about people.
        record(job.tenant_id, Event(AuditKind.JOB_READ, None, {"job": str(job.public_id), "type": str(job.type)}))
    letters = [
        {"at": at(letter.at), "reason": letter.reason, "traceback": letter.traceback}
        for letter in DeadLetter.objects.filter(job=job).order_by("pk")
    ]
    told = {
        **_told(job),
        "progress": f"{job.done} of {'?' if job.total is None else job.total}",
        "runs": job.runs,
        "failures": job.failures,
        "worker": job.worker,
        "asked_by": " ".join(str(part) for part in job.actor.values() if part),
        "request_id": job.request_id,
        "run_at": at(job.run_at),
        "started_at": at(job.started_at),
        "finished_at": at(job.finished_at),
        "payload": job.payload,
        "checkpoint": job.checkpoint,
        "result": job.result,
    }
    if options["json"]:
        command.stdout.write(json.dumps({**told, "letters": letters}))
        return
    command.stdout.write("\n".join([*_lines(told), *_of_letters(letters)]))


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": str(job.public_id),
        "type": job.type,
        "priority": job.priority,
        "status": job.status,
        "tenant": job.tenant.name if job.tenant else None,
        "created_at": at(job.created_at),
        "error": job.error,
    }


def _lines(told: dict[str, Any]) -> Iterator[str]:
    width = max(len(name) for name in told)
    for name, value in told.items():
        yield f"{name:<{width}}  {'-' if value in (None, '') else value}"


def _of_letters(letters: list[dict[str, str]]) -> Iterator[str]:
    for letter in letters:
        yield f"\ndead since {letter['at']}: {letter['reason']}"
        yield letter["traceback"].rstrip() or "no traceback: its process ended without a word"
