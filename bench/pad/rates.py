"""Computes error rates: APCER and BPCER with their bounds, for each species under each policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.pad.tries import Try
from testkit.attacks import ATTACKS

HEADER = (
    "Self-tested on simulated and sample attacks made from a few people's clips and photographs. "
    "Not certified to ISO/IEC 30107-3, and no statement about attack instruments that are not listed."
)
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """Rates of one species under one policy. `error` is the APCER of an attack or the BPCER of real people, `bound` its
    upper limit at CONFIDENCE; times in seconds, of decided tries (for real people of accepted ones)."""

    policy: str
    species: str
    attack: bool
    tries: int
    people: int
    errors: int
    error: float
    bound: float
    non_response: float
    p50_s: float | None
    p95_s: float | None
    reasons: Mapping[str, int]


def upper_bound(errors: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper limit of a rate: the p at which `errors` or fewer of `tries` have probability 1 - confidence.

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934. Found by bisection; 0 of 300 gives 0.0099.
    """
    if not 0 <= errors <= tries:
        raise ValueError(f"{errors} errors of {tries} tries")
    if errors == tries:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, tries, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(errors: int, tries: int, rate: float) -> float:
    """The lower tail of the binomial distribution, for 0 < rate < 1."""
    ways = math.lgamma(tries + 1)
    return sum(
        math.exp(
            ways
            - math.lgamma(k + 1)
            - math.lgamma(tries - k + 1)
            + k * math.log(rate)
            + (tries - k) * math.log1p(-rate)
        )
        for k in range(errors + 1)
    )


def rows_of(tries: Sequence[Try]) -> list[Row]:
    groups = dict.fromkeys((one.policy, one.species) for one in tries)
    return [row(*group, [one for one in tries if (one.policy, one.species) == group]) for group in groups]


def row(policy: str, species: str, tries: Sequence[Try]) -> Row:
    attack = species in ATTACKS
    errors = sum(t.success if attack else t.responded and not t.success for t in tries)
    times = [t.seconds for t in tries if t.responded and (attack or t.success)]
    reasons = [t.reason or "accepted" for t in tries]
    return Row(
        policy=policy,
        species=species,
        attack=attack,
        tries=len(tries),
        people=len({t.person for t in tries}),
        errors=errors,
        error=errors / len(tries),
        bound=upper_bound(errors, len(tries)),
        non_response=sum(not t.responded for t in tries) / len(tries),
        p50_s=round(float(np.percentile(times, 50)), 2) if times else None,
        p95_s=round(float(np.percentile(times, 95)), 2) if times else None,
        reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
    )


def table(rows: Sequence[Row]) -> str:
    lines = [HEADER, ""]
    for policy in dict.fromkeys(row.policy for row in rows):
        lines += [
            f"policy {policy}",
            "  species             N people   error  <=95 %  no resp.  p50 s  p95 s  how they ended",
        ]
        lines += [_line(row) for row in rows if row.policy == policy]
        lines.append("")
    return "\n".join([*lines, "error: APCER of attacks, BPCER of bona_fide"])


def _line(row: Row) -> str:
    times = "".join(f"{'-' if time is None else f'{time:.1f}':>7}" for time in (row.p50_s, row.p95_s))
    reasons = ", ".join(f"{name} {count}" for name, count in row.reasons.items())
    return (
        f"  {row.species:<16} {row.tries:4} {row.people:6}  {row.error:6.3f}  {row.bound:6.3f}"
        f"  {row.non_response:8.3f}{times}  {reasons}"
    )
