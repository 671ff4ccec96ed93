"""Light cue: the screen lights the face in random colours, and the face's tint must follow them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from core.liveness import limits
from core.liveness.observation import FaceReading

Tint: TypeAlias = tuple[float, float]
"""Natural logarithms of red over green and of blue over green."""


class Colour(StrEnum):
    """Colours that the client fills its screen with; the values are CSS colours."""

    RED = "#ff0000"
    GREEN = "#00ff00"
    BLUE = "#0000ff"
    WHITE = "#ffffff"

    @property
    def rgb(self) -> tuple[float, float, float]:
        """Red, green and blue, 0..1."""
        red, green, blue = bytes.fromhex(self.removeprefix("#"))
        return red / 255, green / 255, blue / 255

    @property
    def tint(self) -> Tint:
        """Direction in which the colour shifts the tint of what it lights; the length has no meaning."""
        red, green, blue = self.rgb
        return red - green, blue - green


@dataclass(slots=True)
class LightCue:
    """Colours shown one after the other, each for at least LIGHT_HOLD_MS.

    `answers`: tint of the face under each colour, measured when light and exposure have settled. `agreement`: best
    correlation so far of the newest LIGHT_COLOURS answers with their colours. `told`: index of the colour announced.
    """

    colours: list[Colour]
    told: int = 0
    told_at_ms: int | None = None
    settled: list[Tint] = field(default_factory=list)
    answers: list[Tint] = field(default_factory=list)
    agreement: float | None = None

    @classmethod
    def draw(cls, source: random.Random) -> LightCue:
        """Draw LIGHT_DRAWN colours, none twice in a row: more than needed, to replace answers that did not fit."""
        colours: list[Colour] = []
        while len(colours) < limits.LIGHT_DRAWN:
            colours.append(source.choice([colour for colour in Colour if [colour] != colours[-1:]]))
        return cls(colours)

    @property
    def colour(self) -> Colour | None:
        """Colour that the screen should show now; None before the first, and after the last."""
        if self.told_at_ms is None or self.told >= len(self.colours):
            return None
        return self.colours[self.told]

    @property
    def seen(self) -> bool:
        return self.agreement is not None and self.agreement >= limits.LIGHT_AGREEMENT

    def observe(self, reading: FaceReading) -> None:
        if self.told_at_ms is None:
            self.told_at_ms = reading.at_ms
        shown_ms = reading.at_ms - self.told_at_ms
        if reading.tint is not None and shown_ms >= limits.LIGHT_SETTLES_MS:
            self.settled.append(reading.tint)
        if shown_ms >= limits.LIGHT_HOLD_MS and len(self.settled) >= limits.LIGHT_READINGS and self.colour:
            self._next_colour(reading.at_ms)

    def interrupt(self) -> None:
        """Drop all measurements. The colour stays, so that the screen does not flash when a face comes and goes."""
        self.settled, self.answers = [], []

    def _next_colour(self, now_ms: int) -> None:
        red, blue = np.median(self.settled, axis=0)
        self.answers.append((float(red), float(blue)))
        self.told, self.told_at_ms, self.settled = self.told + 1, now_ms, []
        if len(self.answers) >= limits.LIGHT_COLOURS:
            found = agreement(self.colours[: self.told], self.answers)
            self.agreement = round(max(found, self.agreement or 0.0), 4)


def agreement(colours: list[Colour], answers: list[Tint]) -> float:
    """Correlation, -1..1, of the newest LIGHT_COLOURS answers with their colours; 0 when the answers vary by less than
    LIGHT_TINT."""
    expected = np.array([colour.tint for colour in colours[-limits.LIGHT_COLOURS :]])
    found = np.array(answers[-limits.LIGHT_COLOURS :])
    expected, found = expected - expected.mean(axis=0), found - found.mean(axis=0)
    if float(np.sqrt((found**2).mean())) < limits.LIGHT_TINT:
        return 0.0
    return float((expected * found).sum() / np.sqrt((expected**2).sum() * (found**2).sum()))
