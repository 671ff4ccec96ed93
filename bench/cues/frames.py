"""Measures that recordings do not store, taken from the re-rendered frames of the stream."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from bench.cues.moments import moments, scored
from bench.pad.observe import Recording
from core.features.face_tint import face_tint
from core.features.moire import Spectrum, standing_out
from core.imaging.frames import ImageLimits, decode_image, read_header
from core.liveness.cues.light import Colour, LightCue, Tint
from core.types import RgbImage
from testkit.attacks import MAKERS, Stream
from testkit.clips import encode_jpeg

_LATE = 3
"""Frames from the announcement of a colour to the first frame that shows it."""
_ANY_PICTURE = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_SEED = 4
"""Seed of a colour sequence that fits into an answer."""


def strongest(recording: Recording) -> Spectrum:
    """The spectrum of the frame with the strongest pattern."""
    found = max(scored(recording), key=lambda moment: moment.reading.moire or 0.0)
    assert found.seen.face is not None
    spectra = standing_out(picture_of(recording, found.number), found.seen.face.mesh)
    assert spectra is not None
    return max(spectra, key=lambda spectrum: float(spectrum.max()))


def picture_of(recording: Recording, number: int) -> RgbImage:
    """The frame as the service decodes it."""
    stream = stream_of(recording)
    (frame,) = islice(stream.frames(), number, number + 1)
    return _arrived(frame, stream)


def stream_of(recording: Recording) -> Stream:
    return MAKERS[recording.species](recording.split, recording.index)


def _arrived(frame: RgbImage, stream: Stream) -> RgbImage:
    data = encode_jpeg(frame, stream.jpeg_quality)
    return decode_image(data, read_header(data, _ANY_PICTURE)).rgb


@dataclass(frozen=True, slots=True)
class Glow:
    """A face before a screen of changing colours, while it should show `colour`, the `step`th.

    `measured`: the tint counts for an answer. `answer` and `agreement`: the cue's values at this moment.
    """

    second: float
    tint: Tint
    colour: Colour | None
    step: int
    measured: bool
    answer: Tint | None
    agreement: float | None


def glowing(recording: Recording, share: float) -> list[Glow]:
    """Simulate a screen that adds `share` of its colour to every frame, _LATE frames after the cue announced it."""
    stream, cue = stream_of(recording), LightCue.draw(random.Random(_SEED))
    told, found = [cue.colour] * _LATE, list[Glow]()
    for moment, frame in zip(moments(recording), stream.frames(), strict=True):
        assert moment.seen.face is not None
        tint = face_tint(_arrived(_lit(frame, told[-_LATE], share), stream), moment.seen.face.mesh)
        colour, step = cue.colour, cue.told
        cue.observe(replace(moment.reading, tint=tint))
        told.append(cue.colour)
        answered = cue.told > step
        answer = cue.answers[-1] if answered else None
        measured = answered or bool(cue.settled)
        found.append(Glow(moment.second, tint, colour, step, measured, answer, cue.agreement if answered else None))
    return found


def _lit(frame: RgbImage, colour: Colour | None, share: float) -> RgbImage:
    if colour is None:
        return frame
    return np.clip(frame * (1 + share * np.array(colour.rgb)), 0, 255).astype(np.uint8)
