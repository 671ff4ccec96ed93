"""A stream of frames as a camera, or an injecting attacker, would send it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from core.types import RgbImage

FPS = 10.0
NEUTRAL = "neutral"
_REACTION_FRAMES = 9

Frames: TypeAlias = Callable[[], Iterator[RgbImage]]
"""Each call returns a new iterator over the same pictures."""

Takes: TypeAlias = Mapping[str, Frames]
"""Frames for each action that the server may ask for, starting at a neutral face; and `neutral` in between."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One attempt of one species of attack, or of a real person (`bona_fide...`).

    `frames` ignores what the server asks. A stream that `responds` has takes as well; with two
    stages it changes from the first to the second when `swap_step` steps of the challenge are
    done and `swap_after_s` seconds have passed. `attack_begins` is the first frame of `frames`
    that is an attack. `claims` is a picture of the claimed person where that is not the face shown.
    """

    species: str
    person: str
    index: int
    frames: Frames
    fps: float = FPS
    jpeg_quality: int = 85
    stages: tuple[Takes, ...] = ()
    swap_step: int = 0
    swap_after_s: float = 0.0
    attack_begins: int = 0
    claims: Callable[[], RgbImage] | None = None

    @property
    def responds(self) -> bool:
        return bool(self.stages)

    @property
    def repertoire(self) -> frozenset[str]:
        """The actions that some stage can show."""
        return frozenset(name for takes in self.stages for name in takes) - {NEUTRAL}

    def answer(self, actions: Sequence[str]) -> Iterator[RgbImage]:
        """Frames of a person who performs the actions in order, each after a natural delay.

        Raises KeyError for an action that is not in the repertoire.
        """
        for done, action in enumerate([*actions, NEUTRAL]):
            takes = self.stage(done, done * 2.0 + 2.0)
            yield from islice(takes[NEUTRAL](), _REACTION_FRAMES)
            if action != NEUTRAL and (action in takes or action not in self.repertoire):
                yield from takes[action]()

    def stage(self, steps_done: int, seconds: float) -> Takes:
        swapped = steps_done >= self.swap_step and seconds >= self.swap_after_s
        return self.stages[-1] if swapped else self.stages[0]


def generator(*identity: object) -> np.random.Generator:
    """The random generator of an identity: the same names give the same numbers on any machine."""
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
