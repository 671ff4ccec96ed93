"""Design choices of the engine, measured beside their alternatives.

    python -m bench.alternatives [--seconds 2] [--json]

Batches: each network on 1, 2, 4 and 8 faces at once, CPU time per face. The service runs batches of one, because
larger ones would make frames of several sessions wait for each other; the figures show what batches would save.

Decoding: a LIGHT analysis of a session's frame, and of a still, decoded at full size and at the reduced size that
it needs; CPU time of decoding and analysis. The face takes as much of the frame as in the clips.

The variants of a comparison alternate. Ends with 2 without clips.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

from bench.cli import has_clips, report_parser
from bench.engine.frames import HEIGHT, WIDTH, as_webcam
from bench.load.frames import sources
from bench.load.tables import number, table
from core.face_mesh import UNTRACKED
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine
from core.imaging.frames import Header, ImageLimits, Picture
from core.networks import OpenVinoNetwork
from core.types import Detail, RgbImage
from testkit.clips import encode_jpeg, read_clip
from weights.catalogue import ensure_models

BATCHES = (1, 2, 4, 8)
NETWORKS = {
    "full mesh": "face_landmarks_detector.tflite",
    "light mesh": "face_landmark",
    "embedding": "fr_feature",
    "anti-spoof": "fr_liveness",
}
"""Models by name; the full mesh is a part of its bundle."""
FRAME_WIDTHS = (640, 1280, 1920)
STILL_WIDTH = 4000
_MODELS = Path(__file__).resolve().parents[1] / "var" / "models"
_LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_FRAMES = 25
_QUALITY = 85

Variants = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Comparison:
    what: str
    ms: Mapping[str, float]
    """Median CPU time by variant."""


def compare(what: str, variants: Variants, seconds: float) -> Comparison:
    """Run all variants in turn for `seconds`, after one uncounted run of each."""
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, run in variants.items():
            began = time.process_time()
            run()
            samples[name].append(1000 * (time.process_time() - began))
    return Comparison(what, {name: round(float(np.median(taken)), 2) for name, taken in samples.items()})


def batches(models: Mapping[str, Path], seconds: float) -> list[Comparison]:
    """CPU milliseconds per face of each network at each batch size."""
    found = []
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(models["face_landmarker"]) as bundle:
        bundle.extractall(directory)
        for name, model in NETWORKS.items():
            path = models.get(model, Path(directory) / model)
            taken = compare(name, {str(size): _run_of(path, size) for size in BATCHES}, seconds)
            found.append(Comparison(name, {size: round(ms / int(size), 2) for size, ms in taken.ms.items()}))
    return found


def _run_of(model: Path, faces: int) -> Callable[[], object]:
    network = ov.Core().read_model(model)
    _batch, *sides = network.inputs[0].partial_shape
    network.reshape({network.inputs[0]: [faces, *(side.get_length() for side in sides)]})
    with OpenVinoNetwork(network).request() as request:
        return request.run


class WholeEngine(FaceRecognitionEngine):
    """An engine that always decodes at full size."""

    def _decode(self, data: bytes, limits: ImageLimits, reduction_for: Callable[[Header], int]) -> Picture:
        return super()._decode(data, limits, lambda _: 1)


def decoding(models: Mapping[str, Path], frames: Sequence[RgbImage], seconds: float) -> list[Comparison]:
    config = EngineConfig("openvino", 1, models)
    engines = {"whole": WholeEngine.load(config), "as needed": FaceRecognitionEngine.load(config)}
    found = []
    for width in FRAME_WIDTHS:
        jpegs = [encode_jpeg(_enlarged(frame, width), _QUALITY) for frame in frames]
        followers: Variants = {name: _Follower(engine, jpegs) for name, engine in engines.items()}
        found.append(compare(f"light look, {width} pixels wide", followers, seconds))
    still = encode_jpeg(_enlarged(frames[0], STILL_WIDTH), _QUALITY)
    stills: Variants = {name: partial(engine.analyse_still, still, _LIMITS) for name, engine in engines.items()}
    found.append(compare(f"still, {STILL_WIDTH} pixels wide", stills, seconds))
    for engine in engines.values():
        engine.close()
    return found


class _Follower:
    """Analyses frame after frame with LIGHT, back and forth, tracking the face."""

    def __init__(self, engine: FaceRecognitionEngine, jpegs: Sequence[bytes]) -> None:
        self._engine = engine
        self._jpegs = [*jpegs, *jpegs[-2:0:-1]]
        self._next = 0
        self._tracking = engine.analyse(jpegs[0], _LIMITS).tracking(UNTRACKED)

    def __call__(self) -> None:
        data = self._jpegs[self._next % len(self._jpegs)]
        self._next += 1
        view = self._engine.analyse(data, _LIMITS, self._tracking, Detail.LIGHT)
        self._tracking = view.tracking(self._tracking)


def _enlarged(frame: RgbImage, width: int) -> RgbImage:
    size = (width, width * HEIGHT // WIDTH)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def table_of(comparisons: Sequence[Comparison], heads: str) -> str:
    variants = list(comparisons[0].ms)
    rows = [[found.what, *(number(found.ms[name], 2) for name in variants)] for found in comparisons]
    return table([heads, *variants], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("alternatives", "What was chosen, and why.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each comparison (%(default)g)")
    options = parser.parse_args(arguments)
    if not has_clips("alternatives"):
        return 2
    models = ensure_models(_MODELS, lambda line: print(line, file=sys.stderr))
    frames = [as_webcam(rgb) for rgb in read_clip(sources()[0].path, 0, _FRAMES)]
    of_batches = batches(models, options.seconds)
    of_decoding = decoding(models, frames, options.seconds)
    if options.json:
        print(json.dumps({"batches": list(map(asdict, of_batches)), "decoding": list(map(asdict, of_decoding))}))
    else:
        print(table_of(of_batches, "CPU ms of a face, in batches of"))
        print()
        print(table_of(of_decoding, "CPU ms of an analysis, decoded"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
