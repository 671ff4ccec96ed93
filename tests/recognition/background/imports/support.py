"""Imports as their tests ask for them, and what they leave."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.face_recognition_engine import FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from gallery.models import Subject, Template
from jobs import transitions
from jobs.models import Job
from jobs.submitting import NewJob, submit
from jobs.workers.execution import execute
from recognition.background.engine import client
from recognition.background.engine.messages import EngineLost, Picture, Seen
from recognition.background.engine.seeing import see
from tenants.models import Tenant
from vocabulary.jobs import FINISHED, JobType

MOST_RUNS = 50


def asked(tenant: Tenant, source: str, **payload: Any) -> Job:
    return submit(tenant, NewJob(JobType.BULK_ENROLL, {"source": source, **payload}))


def done(job: Job) -> Job:
    """Run the job, part by part, until it has ended."""
    for _ in range(MOST_RUNS):
        execute(job.pk)
        job = Job.across_tenants.get(pk=job.pk)
        if job.status in FINISHED:
            return job
        transitions.make_due([job.pk])
    raise AssertionError(f"the job goes on and on: {job.status} {job.error}")


def imported(tenant: Tenant, source: str, **payload: Any) -> Job:
    job = done(asked(tenant, source, **payload))
    assert job.status == "succeeded", job.error
    return job


def end_engines() -> None:
    """Kill those that jobs in this process have started."""
    for process in client._started:
        process.kill()
        process.wait()


def result_of(job: Job) -> dict[str, Any]:
    assert isinstance(job.result, dict)
    return job.result


def counts(job: Job) -> tuple[int, int, int, int]:
    """Pictures enrolled, people, pictures rejected, and pictures that were there already."""
    result = result_of(job)
    return result["enrolled"], result["subjects"], result["rejected"], result["already_there"]


def report(folder: Path, job: Job) -> dict[str, tuple[str, str, str]]:
    """Subject, outcome and reason by the file. Every picture has one line."""
    with (folder / result_of(job)["report"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["file"]: (row["subject"], row["outcome"], row["reason"]) for row in rows}
    assert len(found) == len(rows) == job.done == job.total
    return found


def templates(tenant: Tenant) -> dict[str, int]:
    """Number of templates of each subject."""
    rows = Subject.objects.filter(tenant=tenant)
    return {row.subject_id: Template.objects.filter(subject=row).count() for row in rows}


def lay(folder: Path, **files: bytes) -> None:
    """Write files; two underscores in a name stand for a slash, and every file is a .jpg."""
    for name, content in files.items():
        place = folder / f"{name.replace('__', '/')}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


class EngineHere:
    """An engine for jobs in this process, which `dies_of` some pictures."""

    def __init__(
        self, engine: FaceRecognitionEngine, limits: ImageLimits, dies_of: Callable[[bytes], bool] = lambda _: False
    ) -> None:
        self.sent: dict[int, int] = {}
        self.looked_at = 0
        self._engine = engine
        self._limits = limits
        self._dies_of = dies_of
        self._pictures: list[Picture] = []
        self._newest_first = True

    def send(self, picture: Picture) -> None:
        self.sent[picture.key] = len(picture.data)
        self._pictures.append(picture)

    def receive(self, within_s: float) -> Seen | None:
        if within_s == 0.0:
            return None
        if any(self._dies_of(picture.data) for picture in self._pictures):
            raise EngineLost("it died")
        picture = self._pictures.pop(-1 if self._newest_first else 0)  # Answers come in any order.
        del self.sent[picture.key]
        self.looked_at += 1
        return see(self._engine, self._limits, picture)

    def close(self) -> None:
        pass
