"""Prometheus metrics that this worker counts. `exposition.py` gives those of all workers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from monitoring import metric_files

metric_files.install()

frames = Counter("face_frames", "Frames answered, by outcome.", ["outcome"])
frame_seconds = Histogram(
    "face_frame_seconds",
    "From a frame's arrival to its answer.",
    buckets=(0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0),
)
dropped = Counter("face_frames_dropped", "Frames that a newer one replaced before they were looked at.")
decisions = Counter("face_decisions", "Sessions decided.", ["kind", "outcome", "reason"])
refused_requests = Counter("face_http_refused", "Requests refused before the application saw them.", ["status"])
connections = Gauge("face_connections", "Open sockets.", multiprocess_mode="livesum")
