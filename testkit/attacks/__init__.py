"""A reproducible set of attacks, and of real people, as streams of frames.

The attacks are simulated from the shared data: paper, displays, scissors and software are modelled; no real
attack instrument was filmed. The stream of a (split, species, index) is the same on every machine
up to the rounding of OpenCV's build. Tuning and test people are never the same: `people.split_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from testkit.attacks.loops import frozen, loop
from testkit.attacks.masks import cutout
from testkit.attacks.people import Split
from testkit.attacks.puppets import puppet, puppet_obeys
from testkit.attacks.real import bona_fide, bona_fide_active, bona_fide_brief
from testkit.attacks.screens import screen, screen_still
from testkit.attacks.sheets import printed, still
from testkit.attacks.stage.stream import Stream
from testkit.attacks.swaps import swap
from testkit.attacks.warped import warped_photo

Maker = Callable[[Split, int], Stream]

ATTACKS: dict[str, Maker] = {
    "still": still,
    "print": printed,
    "screen": screen,
    "screen_still": screen_still,
    "cutout": cutout,
    "warped_photo": warped_photo,
    "loop": loop,
    "frozen": frozen,
    "swap": swap,
    "puppet": puppet,
    "puppet_obeys": puppet_obeys,
}
BONA_FIDE: dict[str, Maker] = {
    "bona_fide": bona_fide,
    "bona_fide_brief": bona_fide_brief,
    "bona_fide_active": bona_fide_active,
}
MAKERS = ATTACKS | BONA_FIDE
RESPONDING = ("swap", "puppet_obeys", "bona_fide_active")
"""Species that perform the actions they are asked for: `Stream.responds`."""

__all__ = [
    "ATTACKS",
    "BONA_FIDE",
    "MAKERS",
    "RESPONDING",
    "Maker",
    "Split",
    "Stream",
    "attack_streams",
    "bona_fide_streams",
]


def attack_streams(split: Split, species: str, count: int) -> Iterator[Stream]:
    return (ATTACKS[species](split, index) for index in range(count))


def bona_fide_streams(split: Split, count: int, species: str = "bona_fide") -> Iterator[Stream]:
    return (BONA_FIDE[species](split, index) for index in range(count))
