"""Reading the report of a job, which is recorded as the reading of what it says of people."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import BaseModel

from audit.chain import Detail, Event
from audit.reads import reads
from gallery.records.references import record_reading
from jobs.models import Job
from recognition.background.comparisons import ReportedPair, names_of, pairs_in
from recognition.background.reports.files import ReportGone, Reports
from recognition.deciding import Deciding
from recognition.export.document import SubjectExport
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobType


class ReportedDuplicate(BaseModel):
    """Two subjects with one face, the similarity of their most similar templates, and the threshold it reached."""

    subjects: tuple[str, str]
    similarity: float
    threshold: float


class DuplicatesReport(BaseModel):
    """The pairs of whom both are still there."""

    pairs: list[ReportedDuplicate]


def find(tenant: Tenant, job_id: UUID) -> Job:
    """The job with a report. Raises ReportGone."""
    types = (JobType.EXPORT_SUBJECT, JobType.FIND_DUPLICATES)
    row = Job.objects.filter(tenant=tenant, public_id=job_id, type__in=types).first()
    if row is None or not isinstance(row.result, dict) or not row.result.get("report"):
        raise ReportGone("there is no such report, or none any more")
    return row


def read(deciding: Deciding, tenant: Tenant, job: Job) -> SubjectExport | DuplicatesReport:
    """What the report says now. Raises ReportGone, Tampered and KeysUnavailable."""
    content = Reports(deciding.settings.data_dir, tenant, deciding.gallery.protection).read(job.public_id)
    if job.type == JobType.EXPORT_SUBJECT:
        export = SubjectExport.model_validate_json(content)
        record_reading(tenant, export.subject.subject_id, AuditKind.SUBJECT_EXPORTED, job=str(job.public_id))
        return export
    return _duplicates(tenant, pairs_in(content))


def _duplicates(tenant: Tenant, pairs: Sequence[ReportedPair]) -> DuplicatesReport:
    names = names_of(tenant, pairs)
    living = [pair for pair in pairs if all(one in names for one in pair.subjects)]
    if living:
        reads.record(tenant.pk, *[_event(pair) for pair in living])
    return DuplicatesReport(
        pairs=[
            ReportedDuplicate(
                subjects=(names[pair.subjects[0]], names[pair.subjects[1]]),
                similarity=pair.similarity,
                threshold=pair.threshold,
            )
            for pair in living
        ]
    )


def _event(pair: ReportedPair) -> Event:
    details: dict[str, Detail] = {"other": pair.subjects[1].hex}
    return Event(AuditKind.DUPLICATE_FOUND, pair.subjects[0], details)
