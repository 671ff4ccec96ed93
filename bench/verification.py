"""Verification accuracy of the shipped pipeline: LFW, folds 1 to 4 of the official view 2.

Pictures take the service's own path from JPEG bytes: decoding, mesh, the most prominent face,
alignment, embedding, cosine.
A picture without a face is a miss, and a pair with a miss an error, whatever the threshold.

    python -m bench.verification [--json]

Ends with 1 when the mean accuracy is below 0.992, with 2 when there are no pictures.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.cli import report_parser, show
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from core.types import Embedding
from testkit.clips import SHARED_DATA
from weights.catalogue import ensure_models

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Timed = tuple[Embedding | None, float]
"""An embedding and the seconds that it took."""

MINIMUM_ACCURACY = 0.992
_FALSE_MATCH_RATES = (1e-2, 1e-3)
_WORKERS = 2
_LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_MODELS = Path(__file__).resolve().parents[1] / "var" / "models"


@dataclass(frozen=True, slots=True)
class Pair:
    fold: int
    left: str
    right: str
    same: bool


@dataclass(frozen=True, slots=True)
class Fold:
    fold: int
    accuracy: float
    threshold: float
    """The threshold, chosen on the other folds."""
    pairs: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    fmr: float
    threshold: float
    tar: float


@dataclass(frozen=True, slots=True)
class Report:
    folds: list[Fold]
    mean: float
    std: float
    """Standard deviation over the folds."""
    operating_points: list[OperatingPoint]
    pairs: int
    images: int
    misses: int
    """Pictures in which no face was found."""
    ms_per_image: float
    """Mean time of one picture on its thread, with all threads busy."""
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of all pictures; None where no face was found."""

    vectors: dict[str, Embedding | None]
    ms_per_image: float
    images_per_second: float


def read_pairs(path: Path) -> list[Pair]:
    with path.open(newline="") as file:
        return [Pair(int(row["fold"]), row["left"], row["right"], row["same"] == "1") for row in csv.DictReader(file)]


def embed_all(engine: FaceRecognitionEngine, names: Sequence[str], folder: Path) -> Embedded:
    def embed(name: str) -> Timed:
        data = (folder / name).read_bytes()
        begin = time.perf_counter()
        view = engine.analyse_still(data, _LIMITS)
        vector = engine.embed(view) if view.faces else None
        return vector, time.perf_counter() - begin

    begin = time.perf_counter()
    with ThreadPoolExecutor(_WORKERS) as threads:
        results = list(_progress(threads.map(embed, names), len(names)))
    elapsed = time.perf_counter() - begin
    return Embedded(
        {name: vector for name, (vector, _) in zip(names, results, strict=True)},
        1000 * float(np.mean([seconds for _, seconds in results])),
        len(names) / elapsed,
    )


def _progress(items: Iterable[Timed], total: int) -> Iterable[Timed]:
    shown = sys.stderr.isatty()
    for done, item in enumerate(items, start=1):
        if shown and (done % 20 == 0 or done == total):
            bar = "#" * (40 * done // total)
            print(f"\r[{bar:<40}] {done}/{total} pictures", end="", file=sys.stderr, flush=True)
        yield item
    if shown:
        print(file=sys.stderr)


def evaluate(pairs: Sequence[Pair], embedded: Embedded) -> Report:
    scores = np.array([_similarity(embedded.vectors, pair) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    numbers = np.array([pair.fold for pair in pairs])
    folds = [_evaluate_fold(int(fold), scores, same, numbers == fold) for fold in np.unique(numbers)]
    accuracies = [fold.accuracy for fold in folds]
    return Report(
        folds=folds,
        mean=float(np.mean(accuracies)),
        std=float(np.std(accuracies)),
        operating_points=[operating_point(scores, same, fmr) for fmr in _FALSE_MATCH_RATES],
        pairs=len(pairs),
        images=len(embedded.vectors),
        misses=sum(vector is None for vector in embedded.vectors.values()),
        ms_per_image=embedded.ms_per_image,
        images_per_second=embedded.images_per_second,
    )


def _similarity(vectors: dict[str, Embedding | None], pair: Pair) -> float:
    """The cosine, or NaN with a miss: it compares as False, so no threshold makes the pair right."""
    left, right = vectors[pair.left], vectors[pair.right]
    return float(left @ right) if left is not None and right is not None else float("nan")


def _evaluate_fold(fold: int, scores: Floats, same: Flags, inside: Flags) -> Fold:
    threshold = best_threshold(scores[~inside], same[~inside])
    return Fold(fold, accuracy(scores[inside], same[inside], threshold), threshold, int(inside.sum()))


def accuracy(scores: Floats, same: Flags, threshold: float) -> float:
    right = np.where(same, scores >= threshold, scores < threshold)
    return float(right.mean())


def best_threshold(scores: Floats, same: Flags) -> float:
    """The threshold with the highest accuracy; of several, the middle one."""
    values = np.unique(scores[~np.isnan(scores)])
    candidates = (values[1:] + values[:-1]) / 2
    accuracies = np.array([accuracy(scores, same, threshold) for threshold in candidates])
    best = np.flatnonzero(accuracies == accuracies.max())
    return float(candidates[best[len(best) // 2]])


def operating_point(scores: Floats, same: Flags, fmr: float) -> OperatingPoint:
    """The lowest threshold that accepts at most `fmr` of all impostor pairs."""
    impostors = np.sort(np.nan_to_num(scores[~same], nan=-1.0))[::-1]
    allowed = int(fmr * len(impostors))
    threshold = float(np.nextafter(impostors[allowed], 2.0))
    return OperatingPoint(fmr, threshold, float((scores[same] >= threshold).mean()))


def _table(report: Report) -> str:
    lines = ["fold  accuracy  threshold  pairs"]
    lines += [f"{f.fold:4}  {f.accuracy:8.4f}  {f.threshold:9.3f}  {f.pairs:5}" for f in report.folds]
    lines += [f"mean  {report.mean:8.4f} +- {report.std:.4f}", "", "   FMR     TAR  threshold"]
    lines += [f"{p.fmr:6.0e}  {p.tar:6.4f}  {p.threshold:9.3f}" for p in report.operating_points]
    lines += [
        "",
        f"{report.pairs} pairs of {report.images} pictures, {report.misses} without a face",
        f"{report.ms_per_image:.1f} ms per picture on each of {_WORKERS} threads, "
        f"{report.images_per_second:.0f} pictures/s",
    ]
    return "\n".join(lines)


def run(folder: Path, model_dir: Path) -> Report:
    pairs = read_pairs(folder / "pairs.csv")
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    models = ensure_models(model_dir, lambda line: print(line, file=sys.stderr))
    engine = FaceRecognitionEngine.load(EngineConfig("openvino", _WORKERS, models, threads=_WORKERS))
    try:
        return evaluate(pairs, embed_all(engine, names, folder / "images"))
    finally:
        engine.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("verification", "Accuracy on LFW, folds 1 to 4.")
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "lfw", help="folder with pairs.csv and images/")
    parser.add_argument("--models", type=Path, default=_MODELS, help="folder with the verified models")
    options = parser.parse_args(arguments)
    if not (options.data / "pairs.csv").is_file():
        print(f"verification: no pairs.csv in {options.data}", file=sys.stderr)
        return 2
    report = run(options.data, options.models)
    show(report, _table, as_json=options.json)
    return 0 if report.mean >= MINIMUM_ACCURACY else 1


if __name__ == "__main__":
    sys.exit(main())
