"""Baseline of the engine's speed: the original design's pool of legacy FaceMesh, on the same frames.

MediaPipe's legacy solutions need numpy below 2, so they have their own environment under
var/cache/legacy-env, created on first use from bench/legacy/requirements.txt.

    python -m bench.legacy.baseline [--threads T ...] [--seconds S] [--refine] [--json]

Ends with 2 when there are no clips or the baseline is not available.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from pydantic import TypeAdapter, ValidationError

from bench.cli import has_clips, report_parser, show
from config.processes.locks import exclusive
from core.types import RgbImage
from testkit.clips import GRID_CLIPS, read_clip

INSTANCES = 8
"""Instances in the original design's queue."""

_LEGACY = Path(__file__).resolve().parent
_REQUIREMENTS = _LEGACY / "requirements.txt"
_SCRIPT = _LEGACY / "face_mesh_pool.py"
_ENVIRONMENT = Path(__file__).resolve().parents[2] / "var" / "cache" / "legacy-env"
_SIZE = (640, 512)
"""Width and height of a camera's frame with the clips' proportions."""

_START_SECONDS = 120.0
"""Time limit for loading MediaPipe and creating and warming the instances, on a busy machine."""

Command: TypeAlias = Sequence[str | Path]
Run: TypeAlias = Callable[[Command], "subprocess.CompletedProcess[str]"]


class LegacyError(Exception):
    """The baseline is not available: creating its environment or running its script failed."""


@dataclass(frozen=True, slots=True)
class LegacyResult:
    frames: int
    found: int
    """Frames in which a face was found."""
    frames_per_second: float
    cpu_ms_per_frame: float
    """CPU milliseconds per frame, of all threads of the process."""
    wall_ms_per_frame: float
    """Mean time of one frame on its thread, including the wait for an instance."""
    cores: float
    """Mean number of busy cores."""
    process_threads: int
    """Threads, including those that MediaPipe starts for each instance."""
    rss_mb: float
    """Memory of the process without the frames, in 10^6 bytes."""


_RESULT = TypeAdapter(LegacyResult)


def measure(frames: Sequence[RgbImage], threads: int, seconds: float, refine: bool = False) -> LegacyResult:
    """Process `frames`, all of one size, on `threads` threads in a loop for `seconds`.

    Raises LegacyError.
    """
    python = ensure_environment(_ENVIRONMENT, _run)
    with tempfile.TemporaryDirectory(prefix="legacy-") as folder:
        path = Path(folder) / "frames.npy"
        np.save(path, np.stack(frames))
        # Isolated: neither PYTHONPATH nor the user's packages reach into that environment.
        command: list[str | Path] = [python, "-I", _SCRIPT, path, "--threads", str(threads)]
        command += ["--instances", str(INSTANCES), "--seconds", str(seconds)]
        command += ["--refine"] if refine else []
        try:
            done = _run(command, timeout=seconds + _START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise LegacyError(f"the legacy FaceMesh did not end in {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise LegacyError(f"the legacy FaceMesh failed ({done.returncode}): {_last_words(done.stderr)}")
    return parse(done.stdout)


def parse(line: str) -> LegacyResult:
    """Parse the line of JSON that the script prints. Raises LegacyError for anything else."""
    try:
        return _RESULT.validate_json(line, strict=True)
    except ValidationError as error:
        raise LegacyError(f"not what the legacy FaceMesh prints: {line!r}") from error


def ensure_environment(folder: Path, run: Run) -> Path:
    """Create the environment in `folder` if need be; returns its Python. Raises LegacyError.

    The stamp is written last, so an environment left incomplete by an interrupted run is created anew.
    """
    python = folder / "bin" / "python"
    stamp = folder / "requirements.stamp"
    wanted = _stamp()
    # Concurrent benches wait for each other, so that neither clears what the other installs.
    with exclusive(folder.with_suffix(".lock")):
        if python.exists() and stamp.is_file() and stamp.read_text() == wanted:
            return python
        print(f"legacy: making {folder} (a minute or two)", file=sys.stderr, flush=True)
        _make(run, [sys.executable, "-m", "venv", "--clear", folder])
        pip: list[str | Path] = [python, "-I", "-m", "pip", "install", "--quiet", "--no-input"]
        pip += ["--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        _make(run, [*pip, "--requirement", _REQUIREMENTS])
        stamp.write_text(wanted)
    return python


def _stamp() -> str:
    """Fingerprint of the requirements and the Python version that the environment was made for."""
    return f"{hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()} {sys.version_info[:2]}\n"


def _make(run: Run, command: Command) -> None:
    done = run(command)
    if done.returncode != 0:
        raise LegacyError(
            "the environment of the legacy FaceMesh cannot be made; it needs CPython 3.11 or 3.12 on x86-64 Linux "
            f"and the package index: {_last_words(done.stderr or done.stdout)}"
        )


def _run(command: Command, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def _last_words(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-3:])


def _frames() -> list[RgbImage]:
    return [np.asarray(cv2.resize(frame, _SIZE), np.uint8) for frame in read_clip(GRID_CLIPS[0].path)]


def _table(results: dict[int, LegacyResult]) -> str:
    lines = ["threads  frames/s  CPU ms  wall ms  cores  process threads  RSS MB  faces"]
    lines += [
        f"{threads:7}  {r.frames_per_second:8.1f}  {r.cpu_ms_per_frame:6.2f}  {r.wall_ms_per_frame:7.2f}  "
        f"{r.cores:5.2f}  {r.process_threads:15}  {r.rss_mb:6.0f}  {r.found / r.frames:5.0%}"
        for threads, r in results.items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("legacy.baseline", "Speed of the original design's FaceMesh.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of threads")
    parser.add_argument("--refine", action="store_true", help="with the second network, for eyes and lips")
    options = parser.parse_args(arguments)
    if not has_clips("legacy.baseline"):
        return 2
    frames = _frames()
    try:
        results = {threads: measure(frames, threads, options.seconds, options.refine) for threads in options.threads}
    except LegacyError as error:
        print(f"legacy_baseline: {error}", file=sys.stderr)
        return 2
    show(results, _table, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
