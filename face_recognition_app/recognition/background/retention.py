"""Retention for every tenant, as `manage.py retention` does, and the workers of the web service in rounds.

On one machine they take turns, by a lock; on several, none waits for rows that another one holds.
"""

from __future__ import annotations

from pydantic import BaseModel

from config.service import service_settings
from jobs.kinds import Kind, Nothing
from jobs.run import Result, Run
from recognition.background.parts import Part, in_parts
from recognition.deciding import Deciding
from recognition.retention.once import Retained, in_rounds
from vocabulary.jobs import JobType


class State(BaseModel):
    """As Retained has it."""

    expired: int = 0
    applied: int | None = None


@in_parts
def retention(run: Run, asked: Nothing) -> Result:
    part = Part(run, State)
    before = Retained(part.state.expired, part.state.applied)
    for done in in_rounds(Deciding.load(service_settings()), before):
        part.state = State(expired=done.expired, applied=done.applied)
        part.keep()
        part.advance(done.expired + (done.applied or 0), None)
    return part.state.model_dump()


KINDS = [
    Kind(
        JobType.RETENTION,
        "Ends sessions that are over time, and deletes what is older than the settings allow.",
        Nothing,
        retention,
        "db",
        of_tenant="never",
    )
]
