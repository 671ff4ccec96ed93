"""Settings of Gunicorn and its workers."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from config.groups.logs import LogLevel, LogSettings
from config.sizing.machine import this_machine
from config.sizing.workers import MAX_WORKERS, Environment, WorkerProfile, compute_threads, workers_of


def _workers(given: dict[str, Any]) -> int:
    """API_WORKERS, or as many as the profile says for this machine."""
    return given["api_workers"] or workers_of(given["worker_profile"], given["app_env"], this_machine())


class ServerSettings(LogSettings):
    app_env: Environment = Field(
        "development", alias="APP_ENV", description="Development makes a demo tenant and its own secrets."
    )
    worker_profile: WorkerProfile = Field(
        "measured",
        alias="WORKER_PROFILE",
        description="What the number of workers follows from, if it is not given: sizing.md has the table.",
    )
    api_workers: int | None = Field(
        None,
        alias="API_WORKERS",
        ge=1,
        le=MAX_WORKERS,
        description="Worker processes, unless GUNICORN_WORKERS says otherwise.",
    )
    workers: int = Field(
        default_factory=_workers,
        alias="GUNICORN_WORKERS",
        ge=1,
        le=MAX_WORKERS,
        description="Worker processes.",
    )
    bind: str = Field("0.0.0.0:8003", alias="GUNICORN_BIND", description="HOST:PORT to serve on.")
    timeout_s: int = Field(
        120,
        alias="GUNICORN_TIMEOUT",
        ge=1,
        description="Seconds without a turn of its event loop after which a worker is replaced.",
    )
    keepalive_s: int = Field(
        65,
        alias="GUNICORN_KEEPALIVE",
        ge=1,
        le=3_600,
        description="Seconds that a connection may idle between two requests.",
    )
    backlog: int = Field(
        2_048,
        alias="GUNICORN_BACKLOG",
        ge=1,
        le=65_535,
        description="Connections that wait to be accepted, at most; the system's net.core.somaxconn is another limit.",
    )
    max_requests: int = Field(
        0,
        alias="GUNICORN_MAX_REQUESTS",
        ge=0,
        description="Requests after which a worker is replaced, sockets and probes not counted. 0: never.",
    )
    max_requests_jitter: int = Field(
        0,
        alias="GUNICORN_MAX_REQUESTS_JITTER",
        ge=0,
        description="Each worker serves up to so many more, so that not all are replaced at once.",
    )
    preload: bool = Field(
        False,
        alias="PRELOAD_APP",
        description="Load the application before the workers are forked. A reload then keeps the old code: restart.",
    )
    drain_s: float = Field(
        5,
        alias="FACE_DRAIN_S",
        ge=0,
        le=300,
        description="How long sessions may go on in a worker that was replaced, before they are told to connect again.",
    )
    web_log_level: LogLevel | None = Field(
        None, alias="GUNICORN_LOG_LEVEL", description="How much the web service logs; unset: as LOG_LEVEL says."
    )
    mesh_pool_size: int = Field(
        8, alias="FACE_MESH_POOL_SIZE", ge=1, le=128, description="FaceMesh instances per worker."
    )
    threads: int | None = Field(
        None,
        alias="FACE_COMPUTE_THREADS",
        ge=1,
        le=128,
        description="Frames that a worker computes at once, each with an instance; unset: its share of the cores.",
    )

    @property
    def log_level(self) -> LogLevel:
        return self.web_log_level or self.given_log_level

    @property
    def development(self) -> bool:
        return self.app_env == "development"

    @property
    def compute_threads(self) -> int:
        """Frames that a worker computes at once: its share of the cores by default. With more threads each frame takes
        longer, and fewer are answered: docs/performance.md has the figures."""
        return self.threads or compute_threads(this_machine().cores, self.workers, self.mesh_pool_size)

    @model_validator(mode="after")
    def _each_thread_has_an_instance(self) -> ServerSettings:
        if self.threads is not None and self.threads > self.mesh_pool_size:
            raise ValueError(
                f"FACE_COMPUTE_THREADS={self.threads} needs as many instances; FACE_MESH_POOL_SIZE is "
                f"{self.mesh_pool_size}"
            )
        return self
