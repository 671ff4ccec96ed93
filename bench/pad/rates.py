"""Computes error rates: APCER and BPCER with their bounds, for each species under each policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.pad.tries import Try
from gallery.rates.bounds import upper_bound
from testkit.attacks import ATTACKS

HEADER = (
    "Self-tested on simulated and sample attacks made from a few people's clips and photographs. "
    "Not certified to ISO/IEC 30107-3, and no statement about attack instruments that are not listed."
)


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
