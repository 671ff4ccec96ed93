"""Kinds of jobs as a service has them, with work that a test sees through."""

from __future__ import annotations

from pydantic import Field

from jobs.kinds import Kind, Nothing, Payload
from jobs.run import Refused, Result, Run
from recognition.background.trial import KINDS as TRIAL
from tenants.scopes import Scope
from vocabulary.jobs import JobType


class Person(Payload):
    subject_id: str = Field(min_length=1, max_length=128)


def tell(run: Run, asked: Person) -> Result:
    return {"about": asked.subject_id}


def refuse(run: Run, asked: Nothing) -> Result:
    raise Refused("the gallery is empty")


def nothing(run: Run, asked: Nothing) -> Result:
    return None


KINDS = [
    *TRIAL,
    Kind(JobType.EXPORT_SUBJECT, "Tells.", Person, tell, scope=Scope.SUBJECTS),
    Kind(JobType.CALIBRATE, "Refuses.", Nothing, refuse, "cpu", Scope.ADMIN),
    Kind(JobType.DELIVER_WEBHOOK, "Of the service's own.", Nothing, nothing, "io"),
    Kind(JobType.RETENTION, "Of the operator.", Nothing, nothing, "db", Scope.ADMIN, of_tenant="never"),
]
