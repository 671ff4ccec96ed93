"""Streams of real people, which must be accepted.

`bona_fide`: people who talk, smile, blink and look about of their own accord. GRID's clips last
three seconds and are played at 0.4 of their tempo, each frame once: 7.5 seconds of slow movement.
`bona_fide_brief`: the same clips at their own tempo, three seconds. `bona_fide_active`: real people
who do what is asked, assembled from the segments of their clip that show it; the cuts are visible.
"""

from __future__ import annotations

from testkit.attacks.people import Clip, Mover, Split, actors, movers
from testkit.attacks.stage.footage import filmed, takes_of, window
from testkit.attacks.stage.stream import FPS, Stream, generator
from testkit.clips import GRID_CLIPS

_SLOW = 0.4
_SECONDS = 10.0
_SHORTEST_S = 2.5


def bona_fide(split: Split, index: int) -> Stream:
    people = movers(split)
    mover = people[index % len(people)]
    return _natural("bona_fide", mover, index, slowly=_of_grid(mover))


def bona_fide_brief(split: Split, index: int) -> Stream:
    people = [mover for mover in movers(split) if _of_grid(mover)]
    return _natural("bona_fide_brief", people[index % len(people)], index, slowly=False)


def bona_fide_active(split: Split, index: int) -> Stream:
    people = actors(split)
    mover = people[index % len(people)]
    takes = takes_of(mover, "bona_fide_active", index)
    return Stream(
        "bona_fide_active", mover.person, index, takes["neutral"], jpeg_quality=_quality(index), stages=(takes,)
    )


def _natural(species: str, mover: Mover, index: int, *, slowly: bool) -> Stream:
    rng = generator(species, mover.person, index)
    clip = mover.clips[int(rng.integers(len(mover.clips)))]
    tempo = _SLOW if slowly else 1.0
    start = _start(clip, tempo, float(rng.uniform()))
    indices = window(clip, start, _SECONDS, tempo=tempo)
    return Stream(
        species, mover.person, index, filmed(clip, indices, species, index), jpeg_quality=_quality(index), fps=FPS
    )


def _start(clip: Clip, tempo: float, chance: float) -> float:
    """Start in seconds: a window of full length where the clip allows one, else most of the clip."""
    spare = clip.seconds - _SECONDS * tempo
    return chance * (spare if spare > 1.0 else min(0.5, clip.seconds - _SHORTEST_S))


def _of_grid(mover: Mover) -> bool:
    return any(clip.speaker == mover.person for clip in GRID_CLIPS)


def _quality(index: int) -> int:
    """JPEG quality: the default of browsers, or the lower one of a slow connection."""
    return (92, 85, 75, 60)[index // 7 % 4]
