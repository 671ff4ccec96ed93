"""What `bench.imports` does inside of processes of its own: running a bare engine, and reading what a job has taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

WARM_UP = 8


@dataclass(frozen=True, slots=True)
class Speed:
    """`cpu_ms`: for each picture, which tells more than the rate where others use the machine."""

    per_s: float
    cpu_ms: float


def bare_rate(pictures: Sequence[Path]) -> Speed:
    """The speed of an engine without a database, in the class of service of one for jobs, with a thread for each core:
    the file is read, the face found, rated and embedded."""
    from recognition.background.engine import process

    process.lower_priority()
    import django

    django.setup()
    from config.service import service_settings
    from config.sizing.machine import this_machine
    from config.sizing.workers import compute_threads
    from core.imaging.frames import ImageLimits
    from recognition import stills
    from recognition.deciding import Deciding
    from recognition.worker import load_engine

    settings = service_settings()
    threads_of_all = compute_threads(this_machine().cores, 1, settings.mesh_pool_size)
    settings = settings.model_copy(update={"threads": threads_of_all})
    deciding = Deciding.load(settings)
    engine = load_engine(deciding, settings.mesh_pool_size)
    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)

    def embed(path: Path) -> None:
        stills.portrait_by(engine, limits, path.read_bytes(), deciding.gallery.model_id)

    with ThreadPoolExecutor(settings.compute_threads) as threads:
        list(threads.map(embed, pictures[:WARM_UP]))
        began, cpu_s = time.monotonic(), time.process_time()
        list(threads.map(embed, pictures))
        took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
    engine.close()
    return Speed(len(pictures) / took_s, 1000 * cpu_s / len(pictures))


def make_tenants(names: Sequence[str]) -> None:
    import django

    django.setup()
    from tenants.keys import create_tenant

    for name in names:
        create_tenant(name)


def submit_import(tenant: str, source: str) -> int:
    """Returns the job's primary key."""
    import django

    django.setup()
    from jobs.submitting import NewJob, submit
    from tenants.names import find_tenant
    from vocabulary.jobs import JobType, Priority

    return submit(find_tenant(tenant), NewJob(JobType.BULK_ENROLL, {"source": source}, Priority.LOW)).pk


def progress_of(job_pk: int) -> tuple[str, int, float, dict[str, int]]:
    """Status, pictures that are done, seconds from the first beginning to the end, and the result."""
    import django

    django.setup()
    from django.db import connection

    from jobs.models import Job

    job = Job.across_tenants.get(pk=job_pk)
    connection.close()
    began, ended = job.started_at, job.finished_at
    took_s = 0.0 if began is None or ended is None else (ended - began).total_seconds()
    return job.status, job.done, took_s, job.result or {}
