"""Prometheus metrics that this worker counts. `exposition.py` gives those of all workers; docs/operations/metrics.md
lists them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from core.stages import Stage
from monitoring import metric_files

metric_files.install()

frames = Counter("face_frames", "Frames answered, by outcome.", ["outcome"])
frame_seconds = Histogram(
    "face_frame_seconds",
    "From a frame's arrival to its answer.",
    buckets=(0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0),
)
stage_seconds = Histogram(
    "face_frame_stage_seconds",
    "Time of each stage of the frames that were looked at.",
    ["stage"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
)
dropped = Counter("face_frames_dropped", "Frames that a newer one replaced before they were looked at.")
sessions = Counter("face_sessions", "Sessions begun.", ["kind"])
expired = Counter("face_sessions_expired", "Sessions that ended without a decision.", ["kind"])
decisions = Counter("face_decisions", "Sessions decided.", ["kind", "outcome", "reason"])
requests = Counter("face_http_requests", "Requests answered; not those for health.", ["method", "route", "status"])
request_seconds = Histogram(
    "face_http_request_seconds",
    "From a request's head to the end of its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
refused_requests = Counter("face_http_refused", "Requests refused before the application saw them.", ["status"])
cache_reads = Counter("face_cache_reads", "Answers looked for in the cache, by outcome.", ["outcome"])
connections = Gauge("face_connections", "Open sockets.", multiprocess_mode="livesum")
closed = Counter("face_sockets_closed", "Sockets that the service closed, by close code.", ["code"])
database_connections = Gauge(
    "face_worker_database_connections", "Connections of web workers to the database.", multiprocess_mode="livesum"
)


_of_stage = {stage: stage_seconds.labels(stage.value) for stage in Stage}


def count_stages(seconds: dict[Stage, float]) -> None:
    for stage, took_s in seconds.items():
        _of_stage[stage].observe(took_s)
