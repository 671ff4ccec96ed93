"""Logistic regression of covers over the measures of lower faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.cover.samples import REAL_MASK, Sample

Floats = npt.NDArray[np.float64]

FALSE_ALARMS = 0.005
_ROUNDS = 30
_RIDGE = 30.0
_SHARES = {"plain": 1.0, "lit": 0.4, "real": 0.25, "drawn": 0.5}
"""Weight of all samples without a cover, of the same in other light, of all real masks, and of all drawn covers."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Positive `measured @ weights + bias` for a cover."""

    weights: Floats
    bias: float


def fit(samples: Sequence[Sample]) -> Rule:
    """Fit the rule to the tuning people. FALSE_ALARMS of them exceed its limit, by a rule fitted to others of them."""
    kept = [sample for sample in samples if sample.tuning]
    halves = [[sample for sample in kept if _half(sample) == half] for half in (False, True)]
    weights = [_weights(half) for half in halves]
    alarms = np.concatenate([_plain(half) @ other for half, other in zip(halves, reversed(weights), strict=True)])
    return Rule(_weights(kept), -float(np.quantile(alarms, 1 - FALSE_ALARMS)))


def _half(sample: Sample) -> bool:
    return hashlib.sha256(sample.person.encode()).digest()[1] % 2 == 0


def _plain(samples: Sequence[Sample]) -> Floats:
    return np.array([sample.measured for sample in samples if sample.cover is None and sample.light == 1], np.float64)


def _weights(kept: Sequence[Sample]) -> Floats:
    measured = np.array([sample.measured for sample in kept], np.float64)
    covered = np.array([sample.cover is not None for sample in kept])
    scale = measured[~covered].std(axis=0) + 1e-6
    middle = measured[~covered].mean(axis=0)
    solved = _logistic(np.clip((measured - middle) / scale, -5, 5), covered, _importance(kept))
    return np.asarray(solved[:-1] / scale)


def _importance(samples: Sequence[Sample]) -> Floats:
    kinds = [_kind(sample) for sample in samples]
    plain = kinds.count("plain")
    return np.array([_SHARES[kind] * plain / kinds.count(kind) for kind in kinds])


def _kind(sample: Sample) -> str:
    if sample.cover is None:
        return "plain" if sample.light == 1 else "lit"
    return "real" if sample.cover == REAL_MASK else "drawn"


def _logistic(values: Floats, covered: npt.NDArray[np.bool_], importance: Floats) -> Floats:
    """Newton's method, with a ridge on all weights but the last, which is the bias."""
    inputs = np.column_stack([values, np.ones(len(values))])
    ridge = np.diag([_RIDGE] * values.shape[1] + [1e-6])
    found = np.zeros(inputs.shape[1])
    for _ in range(_ROUNDS):
        expected = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (importance * (expected - covered)) + ridge @ found
        curvature = (inputs * (importance * expected * (1 - expected))[:, np.newaxis]).T @ inputs + ridge
        found -= np.linalg.solve(curvature, slope)
    return np.asarray(found)
