"""Rates by lightness of skin, by glasses and by size of the face: who is treated differently.

    python -m bench.fairness [--every N] [--json]

Of each group: how many pictures have which issue, how live they look, how often two people match (FMR) and one person
does not (FNMR) at the limit for 1e-4; and of the darkest and lightest fifth, in more and in less light, how many are
refused for the light, and how many of those would have matched all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.cli import has_clips, report_parser, show
from bench.fairness.pictures import LIGHTS, Lit, Picture, looked_at
from bench.lfw import IMAGES, picture_names
from bench.pad.observe import load_engine
from bench.verification.groups import ErrorRates, error_rates
from core.liveness.policy import REQUIREMENTS, Policy
from gallery.thresholds import threshold_for
from vocabulary.faces import Issue

FMR = 1e-4
_MATCHED_FMR = 1e-3

Order = Callable[[Picture], float]
GROUPS: dict[str, tuple[Order, float, float]] = {
    "everybody": (lambda picture: 0.0, 0.0, 1.0),
    "darkest fifth": (lambda picture: picture.lightness, 0.0, 0.2),
    "lightest fifth": (lambda picture: picture.lightness, 0.8, 1.0),
    "glasses": (lambda picture: picture.bridge, 0.95, 1.0),
    "smallest fifth": (lambda picture: picture.width, 0.0, 0.2),
    "largest fifth": (lambda picture: picture.width, 0.8, 1.0),
}
"""What pictures are put in order by, and which share of them the group is."""


@dataclass(frozen=True, slots=True)
class Group:
    """`issues`: share of pictures, by issue. `doubted`: share of good pictures that score less than `passive` needs."""

    name: str
    pictures: int
    issues: dict[Issue, float]
    doubted: float
    errors: ErrorRates


@dataclass(frozen=True, slots=True)
class InLight:
    """`refused`: share of the darkest and of the lightest fifth. `matching`: share of all refused that match."""

    light: float
    darkest: float
    lightest: float
    refused: int
    matching: float | None


@dataclass(frozen=True, slots=True)
class Report:
    groups: list[Group]
    lights: list[InLight]


def run(pictures: Sequence[Picture], spoof_networks: int) -> Report:
    least = REQUIREMENTS[Policy.PASSIVE].least_live_score(spoof_networks)
    groups = [_group(name, part(pictures, *bounds), least) for name, bounds in GROUPS.items()]
    return Report(groups, [_in_light(pictures, light) for light in LIGHTS])


def part(pictures: Sequence[Picture], order: Order, low: float, high: float) -> list[Picture]:
    ordered = sorted(pictures, key=order)
    return ordered[round(low * len(ordered)) : round(high * len(ordered))]


def _group(name: str, pictures: Sequence[Picture], least_live_score: float) -> Group:
    good = [picture for picture in pictures if picture.is_good]
    known = [(picture.person, picture.embedding) for picture in good if picture.embedding is not None]
    return Group(
        name,
        len(pictures),
        {issue: float(np.mean([issue in picture.issues for picture in pictures])) for issue in Issue},
        float(np.mean([picture.live_score < least_live_score for picture in good])),
        error_rates(known, threshold_for(FMR, 1)),
    )


def _in_light(pictures: Sequence[Picture], light: float) -> InLight:
    seen = [picture for picture in pictures if picture.lit]
    lit = {id(picture): next(one for one in picture.lit if one.light == light) for picture in seen}
    darkest, lightest = (part(seen, *GROUPS[name]) for name in ("darkest fifth", "lightest fifth"))
    refused = [one for one in lit.values() if one.refused]
    return InLight(
        light,
        float(np.mean([lit[id(picture)].refused for picture in darkest])),
        float(np.mean([lit[id(picture)].refused for picture in lightest])),
        len(refused),
        float(np.mean([_matches(one) for one in refused])) if refused else None,
    )


def _matches(lit: Lit) -> bool:
    return lit.similarity is not None and lit.similarity >= threshold_for(_MATCHED_FMR, 1)


def table(report: Report) -> str:
    issues = [issue for issue in Issue if any(group.issues[issue] for group in report.groups)]
    heads = ["pictures", *issues, "doubted", "FMR", "FNMR"]
    lines = [f"{'per cent, FMR in 1e-4':22}" + "".join(f"{head:>15}" for head in heads)]
    for group in report.groups:
        shares = [f"{100 * group.issues[issue]:15.1f}" for issue in issues]
        errors = f"{1e4 * group.errors.fmr:15.1f}{100 * group.errors.fnmr:15.1f}"
        lines.append(f"{group.name:22}{group.pictures:15}{''.join(shares)}{100 * group.doubted:15.1f}{errors}")
    lines += ["", f"{'light':>8}{'refused: darkest':>20}{'lightest fifth':>18}{'of the refused match':>24}"]
    for one in report.lights:
        matching = "-" if one.matching is None else f"{100 * one.matching:.0f} % of {one.refused}"
        lines.append(f"{one.light:8.3f}{100 * one.darkest:18.1f} %{100 * one.lightest:16.1f} %{matching:>24}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("fairness", "Rates by lightness of skin, glasses and size of the face.")
    parser.add_argument("--every", type=int, default=1, help="take every Nth person (%(default)s)")
    options = parser.parse_args(arguments)
    if not has_clips("fairness"):
        return 2
    names = picture_names()
    people = set(sorted({name.split("/")[0] for name in names})[:: options.every])
    engine = load_engine()
    try:
        pictures = [*looked_at(engine, IMAGES, [name for name in names if name.split("/")[0] in people])]
        report = run(pictures, engine.spoof_networks)
    finally:
        engine.close()
    show(report, table, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
