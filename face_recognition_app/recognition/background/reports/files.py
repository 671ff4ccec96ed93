"""Reports of jobs that are too long, or too personal, for the table of jobs: files of the data directory.

`reports/TENANT/JOB.json`, by the tenant's number and the job's public id, is sealed with a secret of the tenant, as
pictures are, and readable by the service's user alone. It goes with its job, with the person it is about, and with
the tenant.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from gallery.models import Subject
from gallery.protection import TemplateProtection
from jobs.models import Job
from tenants.models import Tenant
from vocabulary.errors import ErrorCode, ServiceError
from vocabulary.jobs import FINISHED, JobStatus

logger = logging.getLogger(__name__)

FOLDER = "reports"
ABOUT = "reference"
"""Key of a job's result that has the random reference of the person whom its report is about."""


class ReportGone(ServiceError):
    """There is no report of this job, or none any more."""

    code = ErrorCode.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of one tenant."""

    data_dir: Path
    tenant: Tenant
    protection: TemplateProtection

    def name(self, job: UUID) -> str:
        """The report's path, from the data directory."""
        return f"{FOLDER}/{self.tenant.pk}/{job}.json"

    def write(self, job: UUID, content: bytes) -> None:
        """Write the report, or write it anew. A reader finds either all of it or none."""
        self._put(self.data_dir / self.name(job), job, content)

    def write_part(self, job: UUID, run: int, content: bytes) -> None:
        """Write what a run has found so far. Each run has a file of its own: one that was thought dead spoils none."""
        self._put(self._part(job, run), job, content)

    def read(self, job: UUID) -> bytes:
        """Raises ReportGone, Tampered and KeysUnavailable."""
        return self._read(self.data_dir / self.name(job), job)

    def read_part(self, job: UUID, run: int) -> bytes:
        """Raises as `read` does."""
        return self._read(self._part(job, run), job)

    def delete_parts(self, job: UUID) -> None:
        for path in (self.data_dir / FOLDER / str(self.tenant.pk)).glob(f"{job}.*.part"):
            path.unlink(missing_ok=True)

    def _part(self, job: UUID, run: int) -> Path:
        return self.data_dir / FOLDER / str(self.tenant.pk) / f"{job}.{run}.part"

    def _put(self, path: Path, job: UUID, content: bytes) -> None:
        sealed = self.protection.seal(content, self.tenant, _place(job))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        being_written = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            being_written.touch(mode=0o600)
            with being_written.open("wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            being_written.replace(path)
        finally:
            being_written.unlink(missing_ok=True)

    def _read(self, path: Path, job: UUID) -> bytes:
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            raise ReportGone("there is no such report, or none any more") from None
        return self.protection.unseal(sealed, self.tenant, _place(job))


def as_bytes(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def delete_orphans(data_dir: Path) -> int:
    """Delete what is left of jobs, people and tenants that are gone. Returns the number of files."""
    root = data_dir / FOLDER
    if not root.is_dir():
        return 0
    deleted = 0
    for folder in root.iterdir():
        deleted += _delete_orphans_in(folder)
    return deleted


def delete_about(data_dir: Path, tenant: Tenant) -> None:
    """Delete reports about people of the tenant who are gone, at once; retention tries again what cannot be deleted."""
    try:
        _delete_orphans_in(data_dir / FOLDER / str(tenant.pk))
    except OSError:
        logger.exception("reports about people who are gone cannot be deleted now")


def _delete_orphans_in(folder: Path) -> int:
    """Files whose job is gone or has ended without success, reports about somebody who is gone, and parts of jobs that
    have ended. What is not named by a job's public id is not of this module, and stays for as long as the tenant."""
    files = [path for path in folder.iterdir() if _is_id(_job_in(path))] if folder.is_dir() else []
    jobs = {str(row.public_id): row for row in _jobs_of(files)}
    people = {about for row in jobs.values() if (about := _about(row)) is not None}
    living = set(Subject.across_tenants.filter(reference__in=people).values_list("reference", flat=True))
    deleted = 0
    for path in files:
        row = jobs.get(_job_in(path))
        if row is None or not _is_needed(path, row, living):
            path.unlink(missing_ok=True)
            deleted += 1
    if folder.name.isdigit() and not Tenant.objects.filter(pk=int(folder.name)).exists():
        shutil.rmtree(folder, ignore_errors=True)
    return deleted


def _is_needed(path: Path, row: Job, living: set[UUID | None]) -> bool:
    if row.status not in FINISHED:
        return True
    about = _about(row)
    return path.suffix == ".json" and row.status == JobStatus.SUCCEEDED and (about is None or about in living)


def _jobs_of(files: Iterable[Path]) -> Iterable[Job]:
    names = {_job_in(path) for path in files}
    return Job.across_tenants.filter(public_id__in=names).only("public_id", "status", "result")


def _job_in(path: Path) -> str:
    return path.name.partition(".")[0]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _about(row: Job) -> UUID | None:
    found = row.result.get(ABOUT) if isinstance(row.result, dict) else None
    return None if found is None else UUID(found)


def _place(job: UUID) -> str:
    return f"report of job {job}"
