"""Replay on a display: a clip of the person, or a photograph, on a phone, tablet or monitor before the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage
from testkit.attacks.people import PHOTO_FACE, Split, frames_of, movers, photograph
from testkit.attacks.sheets import SECONDS
from testkit.attacks.stage.camera import Camera, Image
from testkit.attacks.stage.footage import window
from testkit.attacks.stage.meshes import victim
from testkit.attacks.stage.scene import SIZE, Hand, Hold, Plane, Sheet, glow, places, resized, room, shown
from testkit.attacks.stage.stream import FPS, Stream, generator

_ROWS = 720
"""Height of the picture on the display, in sheet pixels."""
_CONTRAST = 0.4
"""Contrast of the dark lines between a panel's pixels."""
_LENS = 0.24
"""Blur of the lens and the sensor's pixels, in pixels of the frame; the remaining grid appears as moire."""

Light = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Display:
    """A display as a camera sees it. `dots` of the panel per pixel of the frame; `gamma` of the panel; `black`: its
    black level with the room's light, 0..255; `cast`: colour of its white. Its refresh leaves `bands` dark bars of
    depth `band` in a rolling shutter, moving `drift` bars a second. `glass`: brightness of reflections, 0..1."""

    dots: float
    gamma: float
    black: float
    cast: tuple[float, float, float]
    band: float
    bands: float
    drift: float
    glass: float
    bezel: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Display:
        blue = rng.normal(0.06, 0.05)
        return cls(
            dots=float(rng.uniform(0.7, 2.4)),
            gamma=float(rng.uniform(0.95, 1.35)),
            black=float(rng.uniform(4, 26)),
            cast=(1.0 - blue, 1.0, 1.0 + blue),
            band=float(rng.choice([0.0, 0.02, 0.06, 0.14])),
            bands=float(rng.uniform(0.5, 3.0)),
            drift=float(rng.uniform(-4.0, 4.0)),
            glass=float(rng.choice([0.0, 0.05, 0.12, 0.3])),
            bezel=float(rng.uniform(0.02, 0.08)),
        )

    def emitted(self, picture: RgbImage) -> Image:
        shares = (picture.astype(np.float32) / 255.0) ** np.float32(self.gamma)
        return np.asarray((self.black + (250.0 - self.black) * shares) * np.array(self.cast), np.float32)

    def grid(self, at: tuple[Plane, Plane], zoom: float) -> Light:
        """Light of the sub-pixels as the sensor samples it, (height, width, 3); the aliasing makes moire.

        Each colour lights a third of a dot; a Gaussian of deviation _LENS reduces the contrast at this frequency.
        """
        depth = np.float32(_CONTRAST * np.exp(-2.0 * (np.pi * _LENS * self.dots) ** 2))
        across, down = (np.float32(2.0 * np.pi * self.dots * zoom) * plane for plane in at)
        rows = 1.0 + 0.5 * depth * np.cos(down)
        stripes = [1.0 + depth * np.cos(across + shift) for shift in (0.0, 2.0944, 4.1888)]
        return np.asarray(np.dstack(stripes) * rows[:, :, np.newaxis], np.float32)

    def refresh(self, seconds: float, phase: float) -> Light:
        """Brightness of each row under the dark bars of the refresh, (height, 1, 1)."""
        turns = np.arange(SIZE[0]) / SIZE[0] * self.bands + self.drift * seconds + phase
        return np.asarray(1.0 - self.band * (0.5 + 0.5 * np.cos(2 * np.pi * turns)), np.float32)[:, None, None]


def screen(split: Split, index: int) -> Stream:
    """A clip of the person, played in a loop on a display."""
    people = movers(split)
    mover = people[index % len(people)]
    rng = generator("screen", mover.person, index)
    clip = mover.clips[int(rng.integers(len(mover.clips)))]
    start = float(rng.uniform(0, clip.seconds))
    indices = window(clip, start, SECONDS, around=True)

    def frames() -> Iterator[RgbImage]:
        pictures = frames_of(clip, indices)
        middle = clip.face_x, clip.face_y
        return replayed(lambda number: pictures[number], middle, clip.face_height, "screen", mover.person, index)

    return Stream("screen", mover.person, index, frames)


def screen_still(split: Split, index: int) -> Stream:
    """A photograph on a display."""
    person = victim(split, index)

    def frames() -> Iterator[RgbImage]:
        photo = photograph(person)
        return replayed(lambda _: photo, (0.5, 0.5), PHOTO_FACE, "screen_still", person, index)

    return Stream("screen_still", person, index, frames)


def replayed(
    picture: Callable[[int], RgbImage], middle: tuple[float, float], face_height: float, *identity: object
) -> Iterator[RgbImage]:
    """Frames of a camera before a display that shows `picture(frame)`; `middle`: the face's place in it, as shares."""
    rng = generator("display", *identity)
    display, around, camera = Display.draw(rng), room(rng) * np.float32(rng.uniform(0.3, 0.9)), Camera.draw(rng)
    hand = Hand(rng, tilt_deg=float(rng.choice([0.5, 3.0, 8.0])))
    zoom = float(rng.uniform(0.36, 0.6)) * SIZE[0] / (face_height * _ROWS)
    mirrored, phase = room(rng), float(rng.uniform())
    lamp = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.02, 0.06))
    for number in range(int(SECONDS * FPS)):
        hold = hand.at(number / FPS)
        sheet = _device(display, resized(picture(number), _ROWS), middle, zoom)
        at = places(hold, sheet)
        image, cover = shown(sheet, at)
        image = image * display.grid(at, zoom) * display.refresh(number / FPS, phase)
        image = image + _mirror(mirrored, hold, lamp) * display.glass
        yield camera.capture(np.asarray(around + (image - around) * cover, np.float32), rng)


def _device(display: Display, picture: RgbImage, middle: tuple[float, float], zoom: float) -> Sheet:
    """The lit picture inside a dark bezel, on a transparent ground."""
    rim, air = int(display.bezel * _ROWS), 40
    body = cv2.copyMakeBorder(
        display.emitted(picture), rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=(14.0, 14.0, 16.0)
    )
    image = cv2.copyMakeBorder(body, air, air, air, air, cv2.BORDER_REPLICATE)
    cover = np.pad(np.ones(body.shape[:2], np.float32), air)
    x, y = middle[0] * picture.shape[1] + rim + air, middle[1] * picture.shape[0] + rim + air
    return Sheet(np.asarray(image, np.float32), cover, x, y, zoom)


def _mirror(room_image: Image, hold: Hold, lamp: tuple[float, float, float]) -> Image:
    """Reflections in the glass: the room behind the camera and a lamp, which move twice as far as the glass turns."""
    shift = np.array([[1.0, 0.0, 14.0 * hold.yaw], [0.0, 1.0, -14.0 * hold.pitch]])
    moved = cv2.warpAffine(room_image, shift, SIZE[::-1], borderMode=cv2.BORDER_REFLECT)
    spot = glow(lamp[0] + hold.yaw / 25, lamp[1] - hold.pitch / 25, lamp[2])
    return np.asarray(moved * np.float32(0.6) + 400.0 * spot, np.float32)
