"""Verification accuracy on LFW, folds 1 to 4 of the official view 2: of the service, and of its engine alone.

The service compares through REST, with every rule that it applies: a pair that it refuses counts as an error at every
threshold. The engine takes the most prominent face of each picture, whatever its quality.

    python -m bench.verification [--json]

Ends with 1 when the service misses a bar, with 2 when there are no pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli import report_parser, show
from bench.verification.accuracy import Accuracy, evaluate, read_pairs
from bench.verification.engine import THREADS, Embedded, embed_all
from bench.verification.groups import ErrorRates, error_rates, women
from bench.verification.rest import compare_all
from gallery.thresholds import threshold_for
from testkit.clips import SHARED_DATA

MINIMUM_ACCURACY = 0.990
MINIMUM_TAR = 0.985
"""At a false match rate of 1e-3."""
MAXIMUM_REFUSED = 0.005
FMR_BY_SEX = 1e-4
_MODELS = Path(__file__).resolve().parents[2] / "var" / "models"


@dataclass(frozen=True, slots=True)
class Report:
    service: Accuracy
    engine: Accuracy
    refusals: dict[str, int]
    """Pairs that the service refused, by error code."""
    by_sex: dict[str, ErrorRates]
    """Of the engine alone, at the limit for FMR_BY_SEX: women among themselves, and men."""
    pairs: int
    images: int
    ms_per_image: float
    images_per_second: float

    @property
    def passed(self) -> bool:
        strictest = min(self.service.operating_points, key=lambda point: point.fmr)
        return (
            self.service.mean >= MINIMUM_ACCURACY
            and strictest.tar >= MINIMUM_TAR
            and self.service.refused <= MAXIMUM_REFUSED * self.pairs
        )


def run(folder: Path, model_dir: Path) -> Report:
    pairs = read_pairs(folder / "pairs.csv")
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    compared = compare_all(pairs, folder / "images")
    embedded = embed_all(names, folder / "images", model_dir)
    return Report(
        service=evaluate(pairs, compared.similarities),
        engine=evaluate(pairs, [embedded.similarity(pair) for pair in pairs]),
        refusals=compared.refusals,
        by_sex=_by_sex(embedded),
        pairs=len(pairs),
        images=len(names),
        ms_per_image=embedded.ms_per_image,
        images_per_second=embedded.images_per_second,
    )


def _by_sex(embedded: Embedded) -> dict[str, ErrorRates]:
    known = [(name.split("/")[0], vector) for name, vector in embedded.vectors.items() if vector is not None]
    are_women, threshold = women(), threshold_for(FMR_BY_SEX, 1)
    return {
        "women": error_rates([one for one in known if one[0] in are_women], threshold),
        "men": error_rates([one for one in known if one[0] not in are_women], threshold),
    }


def table(report: Report) -> str:
    refusals = ", ".join(f"{count} {code}" for code, count in sorted(report.refusals.items())) or "none"
    return "\n".join(
        [
            f"{report.pairs} pairs of {report.images} pictures",
            "",
            "through REST",
            *_lines(report.service),
            f"refused: {report.service.refused} ({refusals})",
            "",
            "the engine alone",
            *_lines(report.engine),
            f"without a face: {report.engine.refused}",
            f"among themselves, at the limit for an FMR of {FMR_BY_SEX:.0e}:",
            *(f"{name:8}{_errors(rates)}" for name, rates in report.by_sex.items()),
            f"{report.ms_per_image:.1f} ms a picture on each of {THREADS} threads, "
            f"{report.images_per_second:.0f} pictures/s",
        ]
    )


def _errors(rates: ErrorRates) -> str:
    return (
        f"FMR {rates.fmr:.1e} of {rates.impostor_pairs} pairs, FNMR {rates.fnmr:.4f} of {rates.genuine_pairs}, "
        f"{rates.people} people"
    )


def _lines(accuracy: Accuracy) -> list[str]:
    return [
        "fold  accuracy  threshold  pairs",
        *(f"{f.fold:4}  {f.accuracy:8.4f}  {f.threshold:9.3f}  {f.pairs:5}" for f in accuracy.folds),
        f"mean  {accuracy.mean:8.4f} +- {accuracy.std:.4f}",
        "   FMR     TAR  threshold",
        *(f"{p.fmr:6.0e}  {p.tar:6.4f}  {p.threshold:9.3f}" for p in accuracy.operating_points),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("verification", "Accuracy on LFW, folds 1 to 4, through REST and of the engine alone.")
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "lfw", help="folder with pairs.csv and images/")
    parser.add_argument("--models", type=Path, default=_MODELS, help="folder with the verified models")
    options = parser.parse_args(arguments)
    if not (options.data / "pairs.csv").is_file():
        print(f"verification: no pairs.csv in {options.data}", file=sys.stderr)
        return 2
    report = run(options.data, options.models)
    show(report, table, as_json=options.json)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
