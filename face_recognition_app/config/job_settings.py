"""Settings of job workers, read once from the environment. Their variables have no prefix."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.durations import parse_duration
from config.groups.logs import LogSettings
from config.groups.values import Names
from config.settings import SettingsError, sentence
from vocabulary.jobs import JobType, Priority, WorkerMode

SLOTS = {WorkerMode.THIN: 5, WorkerMode.SCHEDULER_ONLY: 0}
DEFAULT_SLOTS = 10
MOST_SLOTS = 1_000
_MINUTE = timedelta(minutes=1)


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class JobSettings(LogSettings):
    """Read with `load_job_settings()`; each field's alias is its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    given_mode: WorkerMode | None = Field(
        None,
        alias="WORKER_MODE",
        description="What a job worker runs; unset: default with REDIS_URL, without it thin.",
    )
    concurrency: int | None = Field(
        None,
        alias="WORKER_CONCURRENCY",
        ge=1,
        le=MOST_SLOTS,
        description=f"Jobs that a worker runs at once, each in a process; unset: {DEFAULT_SLOTS}, "
        f"thin {SLOTS[WorkerMode.THIN]}.",
    )
    given_priorities: Names = Field(
        (), alias="WORKER_PRIORITIES", description="high, normal, low, with commas: those a worker takes; unset: all."
    )
    given_types: Names = Field(
        (), alias="WORKER_JOB_TYPES", description="Types that a job-specialized worker takes, with commas."
    )
    given_scheduler: bool | None = Field(
        None,
        alias="ENABLE_SCHEDULER",
        description="Whether the worker has the scheduler inside. Of several schedulers one leads; unset: yes.",
    )
    scheduler_interval: Duration = Field(
        timedelta(seconds=1),
        alias="SCHEDULER_INTERVAL",
        ge=timedelta(milliseconds=100),
        le=_MINUTE,
        description="How often the scheduler looks: 100ms to 1m.",
    )
    job_timeout: Duration = Field(
        timedelta(minutes=5),
        alias="JOB_TIMEOUT",
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="Time after which a run is ended by force, as a failure. Long jobs run in parts of 10 s.",
    )
    max_retries: int = Field(
        3, alias="MAX_RETRIES", ge=0, le=100, description="Tries after the first one; then the job is dead."
    )
    engines: int = Field(
        1,
        alias="WORKER_ENGINES",
        ge=1,
        le=64,
        description="Engines for jobs on this machine, beside those of the service; other jobs wait for one.",
    )
    background_tasks: bool | None = Field(
        None,
        alias="ENABLE_BACKGROUND_TASKS",
        description="Whether run_gunicorn.sh runs a job worker beside its web workers; unset: without REDIS_URL, where "
        "no other process may take the jobs. With it, run_workers.sh runs job workers.",
    )
    redis_url: str = Field("", alias="REDIS_URL", description="As of the service. Jobs go through it, if it is set.")
    group_name: str = Field(
        "",
        alias="WORKER_GROUP",
        pattern=r"^[a-z0-9-]{0,40}$",
        description="Name of the workers that are scaled together, in logs and metrics; unset: the mode, and of "
        "specialized workers their priorities.",
    )
    metrics_bind: str = Field(
        "",
        alias="JOB_METRICS_BIND",
        description="HOST:PORT at which a job worker serves /metrics and /health; unset: nowhere.",
    )
    metrics_interval: Duration = Field(
        timedelta(seconds=30),
        alias="JOB_METRICS_INTERVAL",
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="How often a job worker logs its system metrics.",
    )

    @property
    def mode(self) -> WorkerMode:
        return self.given_mode or (WorkerMode.DEFAULT if self.redis_url else WorkerMode.THIN)

    @property
    def is_embedded(self) -> bool:
        """Whether jobs go from the database to one worker, without a broker."""
        return not self.redis_url

    @property
    def slots(self) -> int:
        return self.concurrency or SLOTS.get(self.mode, DEFAULT_SLOTS)

    @property
    def priorities(self) -> tuple[Priority, ...]:
        """Those that are taken, highest first."""
        return tuple(one for one in Priority if not self.given_priorities or one in self.given_priorities)

    @property
    def types(self) -> tuple[JobType, ...]:
        return tuple(one for one in JobType if not self.given_types or one in self.given_types)

    @property
    def group(self) -> str:
        """Name of the workers that take the same jobs, with letters, digits and hyphens."""
        if self.group_name:
            return self.group_name
        return "-".join(self.priorities) if self.mode is WorkerMode.SPECIALIZED else self.mode.value

    @property
    def runs_beside_gunicorn(self) -> bool:
        """Whether the web service's master starts a job worker."""
        return self.is_embedded if self.background_tasks is None else self.background_tasks

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        if not self.metrics_bind:
            return None
        host, _, port = self.metrics_bind.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def has_scheduler(self) -> bool:
        return self.given_scheduler is not False

    @property
    def job_timeout_s(self) -> float:
        return self.job_timeout.total_seconds()

    @property
    def scheduler_interval_s(self) -> float:
        return self.scheduler_interval.total_seconds()

    @property
    def stop_after_s(self) -> float:
        """How long a worker that is to stop waits for its runs; what has not ended then is queued again."""
        return 15.0

    @field_validator("metrics_bind")
    @classmethod
    def _is_an_address(cls, bind: str) -> str:
        host, colon, port = bind.rpartition(":")
        if bind and not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
            raise ValueError("must be HOST:PORT, as in 127.0.0.1:8080")
        return bind

    @model_validator(mode="after")
    def _names_are_known(self) -> JobSettings:
        for variable, given, known in (
            ("WORKER_PRIORITIES", self.given_priorities, Priority),
            ("WORKER_JOB_TYPES", self.given_types, JobType),
        ):
            unknown = sorted(set(given) - set(known))
            if unknown:
                raise ValueError(f"{variable}: {', '.join(unknown)} is not among {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _variables_fit_the_mode(self) -> JobSettings:
        mode = self.mode
        if self.given_types and mode is not WorkerMode.JOB_SPECIALIZED:
            raise ValueError(f"WORKER_JOB_TYPES is for WORKER_MODE=job-specialized, not for {mode}")
        if mode is WorkerMode.JOB_SPECIALIZED and not self.given_types:
            raise ValueError("WORKER_MODE=job-specialized needs WORKER_JOB_TYPES")
        if mode is WorkerMode.SPECIALIZED and not self.given_priorities:
            raise ValueError("WORKER_MODE=specialized needs WORKER_PRIORITIES")
        if mode is WorkerMode.THIN and set(self.priorities) != set(Priority):
            raise ValueError("WORKER_MODE=thin takes every priority: leave WORKER_PRIORITIES unset")
        if mode is WorkerMode.SCHEDULER_ONLY and not self.has_scheduler:
            raise ValueError("WORKER_MODE=scheduler-only and ENABLE_SCHEDULER=false leave nothing to do")
        if self.is_embedded and mode not in (WorkerMode.THIN, WorkerMode.SCHEDULER_ONLY):
            raise ValueError(f"WORKER_MODE={mode} needs REDIS_URL; without it there is one worker, thin")
        return self


def load_job_settings(environ: Mapping[str, str] = os.environ) -> JobSettings:
    """The settings of `environ`; an empty variable counts as unset. Raises SettingsError."""
    known = {field.alias for field in JobSettings.model_fields.values()}
    given: dict[str, Any] = {name: environ[name] for name in known if name is not None and environ.get(name)}
    try:
        return JobSettings.model_validate(given)
    except ValidationError as error:
        raise SettingsError("\n".join(sentence(problem) for problem in error.errors())) from error


@cache
def job_settings() -> JobSettings:
    """The settings of this process. Raises SettingsError."""
    return load_job_settings()


def lines_of(settings: JobSettings) -> Iterator[str]:
    """VARIABLE=value of what holds, with what was not given filled in. A password of Redis is left out."""
    effective: dict[str, Any] = {
        "WORKER_MODE": settings.mode,
        "WORKER_CONCURRENCY": settings.slots,
        "WORKER_PRIORITIES": ",".join(settings.priorities),
        "WORKER_JOB_TYPES": ",".join(settings.types),
        "ENABLE_SCHEDULER": settings.has_scheduler,
        "ENABLE_BACKGROUND_TASKS": settings.runs_beside_gunicorn,
        "WORKER_GROUP": settings.group,
        "REDIS_URL": re.sub(r"//[^@/]*@", "//...@", settings.redis_url),
    }
    for name, field in JobSettings.model_fields.items():
        variable = field.alias or name
        value = effective.get(variable, getattr(settings, name))
        if isinstance(value, timedelta):
            value = f"{value.total_seconds():g}s"
        yield f"{variable}={str(value).lower() if isinstance(value, bool) else '' if value is None else value}"
