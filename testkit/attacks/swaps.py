"""One face passes the liveness check, another one is to be recognised: they are swapped at any step of a session.

Four kinds alternate: a live person, then the victim's photograph; a live person, then the victim's
clip; and both in reverse order. The live person is a real one, who performs what their clip
shows, or an obedient puppet of a third person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice

import cv2
import numpy as np

from core.types import RgbImage
from testkit.attacks.people import Mover, Split, actors, frames_of, movers, photograph
from testkit.attacks.puppets import animated, obedient
from testkit.attacks.sheets import SECONDS, photo_frames
from testkit.attacks.stage.footage import filmed, takes_of, window
from testkit.attacks.stage.meshes import victim
from testkit.attacks.stage.stream import FPS, NEUTRAL, Frames, Stream, Takes, generator

_STEPS = 4
_VICTIM_FIRST_S = 1.5
_THIRD_PERSON = 7
"""Offset from the victim to the accomplice, in the order of the photographed people."""


def swap(split: Split, index: int) -> Stream:
    rng = generator("swap", split, index)
    live, takes = _accomplice(split, index)
    attacked, shows, picture = _victim(split, index, live)
    victim_first = index % 4 >= 2
    at = int(rng.uniform(0.4, 4.5) * FPS)
    moving, size = _natural(split, index, takes[NEUTRAL]), _size(takes[NEUTRAL])
    takes = {action: partial(_of_size, frames, size) for action, frames in takes.items()}
    moving, shows = partial(_of_size, moving, size), partial(_of_size, shows, size)
    first, second = (shows, moving) if victim_first else (moving, shows)
    return Stream(
        "swap",
        attacked,
        index,
        partial(_spliced, first, second, at),
        stages=({NEUTRAL: shows}, takes) if victim_first else (takes, {NEUTRAL: shows}),
        swap_step=0 if victim_first else index // 4 % _STEPS,
        swap_after_s=_VICTIM_FIRST_S if victim_first else 0.6,
        attack_begins=at,
        claims=picture,
    )


def _size(frames: Frames) -> tuple[int, int]:
    """Height and width of the frames; a swap must not change them."""
    height, width = next(frames()).shape[:2]
    return height, width


def _of_size(frames: Frames, size: tuple[int, int]) -> Iterator[RgbImage]:
    """The middle of each frame, cropped to the proportions of `size` and scaled to it."""
    for frame in frames():
        height, width = frame.shape[:2]
        share = min(height / size[0], width / size[1])
        rows, columns = int(size[0] * share), int(size[1] * share)
        top, left = (height - rows) // 2, (width - columns) // 2
        cut = frame[top : top + rows, left : left + columns]
        yield frame if (height, width) == size else np.asarray(cv2.resize(cut, size[::-1]), np.uint8)


def _spliced(first: Frames, second: Frames, at: int) -> Iterator[RgbImage]:
    return chain(islice(first(), at), islice(second(), int(SECONDS * FPS) - at))


def _accomplice(split: Split, index: int) -> tuple[str, Takes]:
    if index // 2 % 2 == 0:
        actor = _actor(split, index)
        return actor.person, takes_of(actor, "swap", index)
    person, portrait = animated(split, index + _THIRD_PERSON)
    return person, obedient(portrait, person, index)


def _actor(split: Split, index: int) -> Mover:
    people = actors(split)
    return people[index % len(people)]


def _natural(split: Split, index: int, otherwise: Frames) -> Frames:
    """Frames of the live person behaving naturally; for a puppet `otherwise`, its frames at rest."""
    if index // 2 % 2:
        return otherwise
    clip = _actor(split, index).actor
    start = float(generator("swap", "natural", index).uniform(0, 2.0))
    return filmed(clip, window(clip, start, SECONDS, around=True), "swap", index)


def _victim(split: Split, index: int, live: str) -> tuple[str, Frames, Callable[[], RgbImage]]:
    if index % 2 == 0:
        person = victim(split, index)
        return person, photo_frames(person, "swap", index), partial(photograph, person)
    others = [mover for mover in movers(split) if mover.person != live]
    mover = others[index // 2 % len(others)]
    indices = window(mover.actor, 0.0, SECONDS, around=True)
    return mover.person, filmed(mover.actor, indices, "swap", "victim", index), partial(_first_frame, mover)


def _first_frame(mover: Mover) -> RgbImage:
    return frames_of(mover.actor, [0])[0]
