"""Speed of the engine: each stage of a frame and pools of each size, beside the baselines.

    python -m bench.engine [--seconds 0.5] [--no-legacy] [--json]

Input are real clips in a webcam's format, 640x480. Stages are in CPU time, in the order and as often as a session
with passive liveness runs them; other stages are measured beside it, on every fifth frame. Pools of 1, 2, 4 and 8
instances are driven for --seconds each by as many threads (ours by at most the service's compute threads): with the
mesh alone, and with whole frames of sessions. Frames per second of a core are those per second of CPU time.

The baselines are MediaPipe's FaceLandmarker (the `mediapipe` backend) and the original design's pool of 8 legacy
FaceMesh with 4 threads. All alternate in five rounds; figures are medians, ratios are medians of the rounds' ratios.

Ends with 1 when a bar is missed: the tracked light mesh makes 3 times FaceLandmarker's frames a second of a core (stage
by stage), and its pool of 8 twice the legacy pool's frames a second. Ends with 2 without clips, or without the legacy
baseline.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

from bench.cli import has_clips, report_parser, show
from bench.engine.report import text
from bench.legacy.baseline import LegacyError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("engine"):
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as directory:
        _set_up_django(directory)
        from bench.engine.run import run

        try:
            report = run(Path(directory), options.seconds, legacy=options.legacy)
        except LegacyError as error:
            print(f"engine: {error}; --no-legacy goes without it", file=sys.stderr)
            return 2
    show(report, text, as_json=options.json)
    return 1 if report.missed else 0


def _set_up_django(directory: str) -> None:
    """Set Django up for the models that a session's modules import; no database is used."""
    os.environ["FACE_DATA_DIR"] = directory
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
    os.environ.setdefault("GUNICORN_LOG_LEVEL", "warning")
    os.environ.setdefault("GLOG_minloglevel", "2")  # MediaPipe's.
    django.setup()


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("engine", "Speed of the compute engine.")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement in each round (%(default)g)")
    parser.add_argument("--no-legacy", dest="legacy", action="store_false", help="without the legacy FaceMesh pool")
    return parser


if __name__ == "__main__":
    sys.exit(main())
