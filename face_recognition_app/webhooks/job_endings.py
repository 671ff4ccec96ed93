"""What follows from the end of a job: an event, and an end of the delivery whose job could not go on."""

from __future__ import annotations

from jobs.models import Job
from vocabulary.jobs import JobStatus, JobType
from vocabulary.webhooks import EventType
from webhooks import deliveries
from webhooks.outbox import Event, Value, note


def note_end(job_pk: int) -> None:
    """In the transaction that has ended the job."""
    job = Job.across_tenants.select_related("tenant").defer("result", "checkpoint").get(pk=job_pk)
    if job.tenant is None:
        return
    if job.type != JobType.DELIVER_WEBHOOK:
        told: dict[str, Value] = {"job_id": str(job.public_id), "type": job.type, "status": job.status}
        note(job.tenant, Event(EventType.JOB_FINISHED, told))
    elif job.status != JobStatus.SUCCEEDED:
        deliveries.give_up_without_job(job.tenant, str(job.payload["delivery"]))
