"""Endpoint for the reports of background jobs, which are too long or too personal for the job's result."""

from __future__ import annotations

import uuid

from django.http import HttpRequest
from ninja import Router

from jobs import access
from recognition.api.auth import Caller, caller, needs
from recognition.api.errors import ApiError
from recognition.api.openapi.document import raises
from recognition.background.reports import reading
from recognition.background.reports.reading import DuplicatesReport
from recognition.deciding import Deciding
from recognition.export.document import SubjectExport
from recognition.worker import of_request
from tenants.scopes import Scope, in_order
from vocabulary.errors import ErrorCode

router = Router(tags=["jobs"], auth=needs(Scope.SUBJECTS, Scope.READ, Scope.ADMIN))


@router.get(
    "{uuid:job_id}/report/",
    response=SubjectExport | DuplicatesReport,
    summary="The report of a job: an exported person, or pairs of subjects with one face",
)
@raises(ErrorCode.NOT_FOUND)
async def read_report(request: HttpRequest, job_id: uuid.UUID) -> SubjectExport | DuplicatesReport:
    worker = of_request(request)
    return await worker.database.run(_read, worker.deciding, caller(request), job_id)


def _read(deciding: Deciding, who: Caller, job_id: uuid.UUID) -> SubjectExport | DuplicatesReport:
    """With a scope that could ask for the job, or READ."""
    job = reading.find(who.tenant, job_id)
    enough = in_order({access.scope_of(job.type), Scope.READ})
    if not who.scopes & set(enough):
        message = f"this needs the scope {' or '.join(enough)}"
        raise ApiError(ErrorCode.SCOPE_MISSING, message, {"needs": enough})
    return reading.read(deciding, who.tenant, job)
