"""manage.py jobs import: asks for a job that enrols people, and shows how far it is."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import actor as actors
from config.job_settings import JobSettings
from config.service import service_settings
from database.calls import with_connection
from jobs.models import Job
from jobs.problems import InvalidJob
from jobs.submitting import NewJob, submit
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant
from vocabulary.jobs import FINISHED, JobStatus, JobType, Priority

LOOKS_EVERY_S = 0.5
BAR = 40


def add(actions: Any) -> None:
    parser = actions.add_parser("import", help="enrol people from a folder, a .zip or a .csv")
    parser.add_argument("path", help="in the tenant's folder in FACE_IMPORT_DIR, or by its path below that")
    parser.add_argument("--tenant", required=True, metavar="NAME")
    parser.add_argument("--subject-from", choices=("auto", "folder", "filename", "stem"), default="auto")
    parser.add_argument("--replace", action="store_true", help="new templates replace those that a person has")
    parser.add_argument("--consent", metavar="TEXT@VERSION", help="words that everybody in the import has agreed to")
    parser.add_argument("--priority", choices=[one.value for one in Priority], default=Priority.LOW.value)
    parser.add_argument(
        "--watch", action="store_true", help="show its progress until it ends; Ctrl-C leaves it running"
    )
    parser.set_defaults(act=run)


def run(command: BaseCommand, _: JobSettings, options: dict[str, Any]) -> None:
    """Raises CommandError for what cannot be imported, and with `--watch` for an import that did not succeed."""
    try:
        tenant = find_tenant(options["tenant"])
        payload = {
            "source": _below(service_settings().import_dir / tenant.name, options["path"]),
            "subject_from": options["subject_from"],
            "replace": options["replace"],
            "consent": _consent(options["consent"]),
        }
        with actors.acting(actors.of_command("jobs import")):
            job = submit(tenant, NewJob(JobType.BULK_ENROLL, payload, Priority(options["priority"])))
    except (TenantNotFound, InvalidJob) as error:
        raise CommandError(str(error)) from error
    command.stdout.write(f"job {job.public_id}")
    if options["watch"]:
        _watch(command, tenant, job.pk)


def _below(folder: Path, given: str) -> str:
    """The path below the tenant's folder, as jobs name what they import. Raises CommandError."""
    for place in (Path(given).absolute(), folder / given):
        if place.exists() and place.resolve().is_relative_to(folder.resolve()):
            return place.resolve().relative_to(folder.resolve()).as_posix()
    raise CommandError(f"{given} is not in {folder}: put it there, since nothing else is read")


def _consent(given: str | None) -> dict[str, str] | None:
    if given is None:
        return None
    text, at, version = given.rpartition("@")
    if not at:
        raise CommandError("--consent: TEXT@VERSION, as in terms@2026-01")
    return {"text": text, "version": version}


def _watch(command: BaseCommand, tenant: Tenant, job_pk: int) -> None:
    shown = ""
    while True:
        job = with_connection(lambda: Job.objects.get(tenant=tenant, pk=job_pk))
        line = _line(job)
        if sys.stderr.isatty() and line != shown:
            sys.stderr.write(f"\r{line}\033[K")
            shown = line
        if job.status in FINISHED:
            break
        pause()
    if shown:
        sys.stderr.write("\n")
    if job.status != JobStatus.SUCCEEDED:
        raise CommandError(f"the import is {job.status}{': ' if job.error else ''}{job.error}")
    command.stdout.write(json.dumps(job.result))


def pause() -> None:
    time.sleep(LOOKS_EVERY_S)


def _line(job: Job) -> str:
    if job.status != JobStatus.RUNNING and not job.done:
        return f"{job.status}"
    total = job.total or 1
    rate = ""
    if job.started_at is not None and job.finished_at is not None:
        rate = f", {job.done / max(0.001, (job.finished_at - job.started_at).total_seconds()):.0f}/s"
    return f"[{'#' * (BAR * job.done // total):<{BAR}}] {job.done}/{total} pictures{rate}"
