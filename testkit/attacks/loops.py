"""Recordings of the person injected into the stream: played in a loop, or frozen for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from core.types import RgbImage
from testkit.attacks.people import Clip, Mover, Split, frames_of, movers
from testkit.attacks.sheets import SECONDS
from testkit.attacks.stage.camera import Camera
from testkit.attacks.stage.footage import Framing, captured, window
from testkit.attacks.stage.stream import FPS, Stream, generator


def loop(split: Split, index: int) -> Stream:
    """One to three seconds of a clip, repeated or played to and fro; with identical bytes or fresh noise."""
    mover, clip, rng = _recorded("loop", split, index)
    length = int(rng.uniform(1.0, 2.9) * FPS)
    once = window(clip, float(rng.uniform(0, max(0.0, clip.seconds - length / FPS))), length / FPS)
    cycle = once + once[-2:0:-1] if index % 3 == 2 else once
    again = [number % len(cycle) for number in range(int(SECONDS * FPS))]

    def frames() -> Iterator[RgbImage]:
        if index % 2:
            return _sent(clip, [cycle[at] for at in again], "loop", mover.person, index)
        recorded = list(_sent(clip, cycle, "loop", mover.person, index))
        return (recorded[at] for at in again)

    return Stream("loop", mover.person, index, frames)


def frozen(split: Split, index: int) -> Stream:
    """A live clip in which one frame is held for seconds; held byte for byte, or with fresh noise."""
    mover, clip, rng = _recorded("frozen", split, index)
    before, held = int(rng.uniform(0.4, 1.2) * FPS), int(rng.uniform(2.0, 5.0) * FPS)
    running = window(clip, float(rng.uniform(0, clip.seconds)), SECONDS - held / FPS, around=True)
    shown = running[:before] + [running[before - 1]] * held + running[before:]

    def frames() -> Iterator[RgbImage]:
        sent = _sent(clip, shown, "frozen", mover.person, index)
        return sent if index % 2 else _holding(sent, before, held)

    return Stream("frozen", mover.person, index, frames, attack_begins=before)


def _holding(sent: Iterator[RgbImage], before: int, held: int) -> Iterator[RgbImage]:
    last: RgbImage | None = None
    for number, frame in enumerate(sent):
        if last is None or not before <= number < before + held:
            last = frame
        yield last


def _recorded(species: str, split: Split, index: int) -> tuple[Mover, Clip, np.random.Generator]:
    people = movers(split)
    mover = people[index % len(people)]
    rng = generator(species, mover.person, index)
    return mover, mover.clips[int(rng.integers(len(mover.clips)))], rng


def _sent(clip: Clip, indices: Sequence[int], *identity: object) -> Iterator[RgbImage]:
    rng = generator("sent", *identity)
    pictures = frames_of(clip, indices)
    framing, camera = Framing.draw(rng, clip, pictures[0]), Camera.draw(rng)
    return captured((framing.apply(picture) for picture in pictures), camera, rng)
