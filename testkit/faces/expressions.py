"""Facial expressions frame by frame: named actions as key frames, played as a timeline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

Action = Literal["rest", "blink", "turn_left", "turn_right", "nod", "smile", "open_mouth"]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class Expression:
    """A face's difference from its portrait; angles are signed as in `core.types.Pose`.

    `blink` and `jaw` are 0..1. `smile` is -1..1: above 0 the mouth corners move out and up, below
    0 they come back, which relaxes a portrait that smiles.
    """

    blink: float = 0.0
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    smile: float = 0.0
    jaw: float = 0.0

    def __add__(self, other: Expression) -> Expression:
        return Expression(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, factor: float) -> Expression:
        return Expression(*(getattr(self, f.name) * factor for f in fields(self)))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The content of one frame of a performance; `action` is "rest" between the requested actions."""

    index: int
    seconds: float
    action: Action
    expression: Expression


@dataclass(frozen=True, slots=True)
class _Key:
    """Reach `expression` within `seconds`."""

    seconds: float
    expression: Expression


def _hold(expression: Expression, reach: float, hold: float) -> tuple[_Key, ...]:
    return _Key(reach, expression), _Key(hold, expression), _Key(reach, Expression())


_NOD = (_Key(0.35, Expression(pitch_deg=-18.0)), _Key(0.35, Expression(pitch_deg=2.0)))
_KEYS: dict[Action, tuple[_Key, ...]] = {
    "rest": (_Key(0.8, Expression()),),
    "blink": _hold(Expression(blink=1.0), 0.1, 0.25),
    "turn_left": _hold(Expression(yaw_deg=28.0), 0.6, 0.8),
    "turn_right": _hold(Expression(yaw_deg=-28.0), 0.6, 0.8),
    "nod": (*_NOD, *_NOD, _Key(0.2, Expression())),
    "smile": _hold(Expression(smile=1.0), 0.4, 0.9),
    "open_mouth": _hold(Expression(jaw=1.0), 0.35, 0.8),
}
"""Key frames of each action. A blink shuts the eyes for 0.25 s, so that a stream of 5 frames/s shows it."""


def timeline(actions: Sequence[Action], fps: float, *, sway: bool = True) -> Iterator[GroundTruth]:
    """One record per frame: rest, then each action followed by rest.

    `sway` adds the small movements of a still head. Raises ValueError for an unknown
    action or a rate that is not positive.
    """
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown or fps <= 0:
        raise ValueError(f"unknown actions {unknown}" if unknown else f"fps must be positive, not {fps}")
    return _play([part for action in actions for part in ("rest", action)] + ["rest"], fps, sway)


def _play(parts: Sequence[Action], fps: float, sway: bool) -> Iterator[GroundTruth]:
    index = 0
    begin = 0.0
    for action in parts:
        end = begin + sum(key.seconds for key in _KEYS[action])
        while (seconds := index / fps) < end:
            expression = _at(_KEYS[action], seconds - begin)
            yield GroundTruth(index, seconds, action, expression + _sway(seconds) if sway else expression)
            index += 1
        begin = end


def _at(keys: Sequence[_Key], seconds: float) -> Expression:
    before = Expression()
    for key in keys:
        if seconds < key.seconds:
            share = _ease(seconds / key.seconds)
            return before * (1.0 - share) + key.expression * share
        seconds -= key.seconds
        before = key.expression
    return before


def _ease(share: float) -> float:
    return share * share * (3.0 - 2.0 * share)


def _sway(seconds: float) -> Expression:
    """Small movements of a head: two slow waves with the incommensurate periods 4.3 s and 5.9 s."""
    return Expression(
        yaw_deg=1.2 * math.sin(2 * math.pi * seconds / 4.3),
        pitch_deg=0.8 * math.sin(2 * math.pi * seconds / 5.9 + 1.0),
    )
