"""Exporting and erasing a person, as the paths of subjects do."""

from __future__ import annotations

from pydantic import BaseModel, Field

from config.service import service_settings
from gallery.people import ID_PATTERN, SubjectNotFound, find_subject
from jobs.kinds import Kind, Payload
from jobs.run import Refused, Result, Run
from recognition.background.parts import Part, id_of, in_parts
from recognition.background.reports.files import ABOUT, Reports
from recognition.deciding import Deciding
from recognition.export import collecting
from recognition.retention.erasure import erase_some_sessions, erase_the_rest
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.jobs import JobType

NOBODY = "there is no such subject"
"""Without the id: what became of a job is kept for longer than the person."""


class OfSubject(Payload):
    subject_id: str = Field(pattern=f"^{ID_PATTERN}$")


@in_parts
def export_subject(run: Run, asked: OfSubject) -> Result:
    """Write the document into the job's report. The result has what it takes to delete that with the person."""
    tenant, deciding = run.own_tenant, Deciding.load(service_settings())
    reports, job = Reports(deciding.settings.data_dir, tenant, deciding.gallery.protection), id_of(run)
    try:
        document = collecting.of_subject(tenant, asked.subject_id, deciding.gallery.protection)
    except SubjectNotFound:
        raise Refused(NOBODY) from None
    content = document.model_dump_json().encode()
    reports.write(job, content)
    run.done = run.total = 1
    run.save()
    return {
        "report": reports.name(job),
        ABOUT: document.subject.reference,
        "bytes": len(content),
        "consents": len(document.consents),
        "templates": len(document.templates),
        "feedback": len(document.feedback),
        "sessions": len(document.sessions),
        "failed_attempts": len(document.failed_attempts),
        "known_devices": len(document.known_devices),
        "audit": len(document.audit),
    }


class EraseState(BaseModel):
    """`sessions`: number of those that are erased. `receipt`: set in the transaction that has erased the rest."""

    sessions: int = 0
    receipt: str = ""


@in_parts
def erase_subject(run: Run, asked: OfSubject) -> Result:
    tenant, part = run.own_tenant, Part(run, EraseState)
    if not part.state.receipt:
        try:
            _erase(part, tenant, asked.subject_id)
        except SubjectNotFound:
            raise Refused(NOBODY) from None
    return {"receipt": part.state.receipt}


def _erase(part: Part[EraseState], tenant: Tenant, subject_id: str) -> None:
    find_subject(tenant, subject_id)
    while True:
        with part.step():
            erased = erase_some_sessions(tenant, subject_id)
            part.state.sessions += erased
        if not erased:
            break
        part.advance(part.state.sessions, None)

    def keep(receipt: str) -> None:
        part.state.receipt = receipt
        part.keep()

    erase_the_rest(Deciding.load(service_settings()), tenant, subject_id, part.state.sessions, keep)


KINDS = [
    Kind(
        JobType.EXPORT_SUBJECT,
        "Writes all that is held about a person into a report.",
        OfSubject,
        export_subject,
        "io",
        Scope.SUBJECTS,
    ),
    Kind(
        JobType.ERASE_SUBJECT,
        "Erases a person; the result has the signed receipt.",
        OfSubject,
        erase_subject,
        "db",
        Scope.SUBJECTS,
    ),
]
