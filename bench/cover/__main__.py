"""How often covered mouths and noses are told, and uncovered ones are taken for covered.

    python -m bench.cover [--every N] [--fit] [--json]

Covers of five kinds are drawn over pictures of Labeled Faces in the Wild; real masks are those of the shared cases.
With --fit the rule is fitted anew to the tuning half of the people, and its weights are printed for
core/features/cover/rule.py. Rates are those of the other half.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.cli import has_clips, report_parser, show
from bench.cover.fit import Rule, fit
from bench.cover.samples import REAL_MASK, Sample, lfw_samples, mask_samples
from bench.lfw import IMAGES, picture_names
from bench.pad.observe import load_engine
from core.features.cover.rule import BIAS, WEIGHTS
from testkit.clips import SHARED_DATA
from testkit.faces.covers import KINDS

_PER_LINE = 12


@dataclass(frozen=True, slots=True)
class Rate:
    """Share of samples that are taken for covered."""

    of: str
    samples: int
    covered: float


@dataclass(frozen=True, slots=True)
class Report:
    rates: list[Rate]


def rates(samples: Sequence[Sample], rule: Rule) -> list[Rate]:
    others = [sample for sample in samples if not sample.tuning and sample.light == 1]
    plain = [sample for sample in others if sample.cover is None]
    groups: dict[str, list[Sample]] = {"no cover": plain}
    for name, of in _KINDS_OF_FACES.items():
        groups[name] = of(plain)
    for kind in (*KINDS, REAL_MASK):
        groups[kind] = [sample for sample in others if sample.cover == kind]
    groups["no cover, in other light"] = [s for s in samples if not s.tuning and s.cover is None and s.light != 1]
    groups[f"{REAL_MASK}, of the tuning half"] = [s for s in samples if s.tuning and s.cover == REAL_MASK]
    return [_rate(name, group, rule) for name, group in groups.items() if group]


def _rate(name: str, samples: Sequence[Sample], rule: Rule) -> Rate:
    scores = np.array([sample.measured for sample in samples]) @ rule.weights + rule.bias
    return Rate(name, len(samples), float((scores > 0).mean()))


def _most(share: float, measure: Callable[[Sample], float]) -> Callable[[Sequence[Sample]], list[Sample]]:
    """The given share of samples in which the measure is largest."""
    return lambda samples: sorted(samples, key=measure, reverse=True)[: max(1, round(share * len(samples)))]


_KINDS_OF_FACES = {
    "no cover, darkest fifth of skin": _most(0.2, lambda sample: -sample.lightness),
    "no cover, lightest fifth of skin": _most(0.2, lambda sample: sample.lightness),
    "no cover, darkest twentieth of chins (beards)": _most(0.05, lambda sample: -sample.chin),
    "no cover, reddest twentieth of lips (lipstick)": _most(0.05, lambda sample: sample.lips),
}


def table(report: Report) -> str:
    lines = [f"{rate.of:48} {rate.samples:5}  {100 * rate.covered:5.1f} %" for rate in report.rates]
    return "\n".join([f"{'lower faces':48} {'':5}  taken for covered", *lines])


def as_code(rule: Rule) -> str:
    numbers = [f"{weight:.3f}," for weight in rule.weights]
    rows = [" ".join(numbers[at : at + _PER_LINE]) for at in range(0, len(numbers), _PER_LINE)]
    return "\n".join([*rows, f"BIAS = {rule.bias:.3f}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("cover", "Rates at which covers of mouth and nose are told.")
    parser.add_argument("--every", type=int, default=4, help="take every Nth picture (%(default)s)")
    parser.add_argument("--fit", action="store_true", help="fit the rule anew and print its weights")
    options = parser.parse_args(arguments)
    if not has_clips("cover"):
        return 2
    engine = load_engine()
    try:
        samples = [*lfw_samples(engine, IMAGES, picture_names()[:: options.every])]
        samples += mask_samples(engine, SHARED_DATA / "cases" / "masks")
    finally:
        engine.close()
    rule = fit(samples) if options.fit else Rule(WEIGHTS.astype(np.float64), BIAS)
    if options.fit:
        print(as_code(rule))
    show(Report(rates(samples, rule)), table, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
