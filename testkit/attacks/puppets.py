"""A portrait brought to life by an animator and injected into the stream, as a cheap deepfake is.

`puppet` performs all actions all the time. `puppet_obeys` performs what it is asked; its `frames` only blink,
sway and smile, as a waiting person does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import cv2
import numpy as np

from core.types import RgbImage
from testkit.attacks.people import Split, photographed
from testkit.attacks.sheets import SECONDS, injected_photo
from testkit.attacks.stage.camera import Camera
from testkit.attacks.stage.meshes import mesh, victim
from testkit.attacks.stage.stream import FPS, NEUTRAL, Stream, Takes, generator
from testkit.faces.expressions import Action, Expression, timeline
from testkit.faces.portrait import Portrait

_ACTIONS: tuple[Action, ...] = ("blink", "turn_left", "turn_right", "nod", "smile", "open_mouth")
_TURNS: tuple[Action, ...] = ("turn_left", "turn_right")
_OTHERS: tuple[Action, ...] = ("blink", "nod", "smile", "open_mouth")
_CLOSER: Literal["move_closer"] = "move_closer"
_REST_FRAMES = 5
_NEUTRAL_S = 4.3


def puppet(split: Split, index: int) -> Stream:
    person, portrait = animated(split, index)
    rng = generator("puppet", person, index)
    actions = [_ACTIONS[int(at)] for at in rng.integers(0, len(_ACTIONS), 12)]
    expressions = [record.expression for record in timeline(actions, FPS) if record.action != "rest"]
    shown = expressions[: int(SECONDS * FPS)]
    return Stream("puppet", person, index, partial(played, portrait, shown, "puppet", person, index))


def puppet_obeys(split: Split, index: int) -> Stream:
    person, portrait = animated(split, index)
    idle = _idle(generator("idle", person, index))
    frames = partial(played, portrait, idle, "puppet_obeys", person, index)
    return Stream("puppet_obeys", person, index, frames, stages=(obedient(portrait, person, index),))


def animated(split: Split, index: int) -> tuple[str, Portrait]:
    """The first person from `index` on with a photograph that can be animated: its eyes are large enough for lids."""
    for step in range(len(photographed(split))):
        person = victim(split, index + step)
        try:
            photo = injected_photo(person, generator("puppet", person), filling=0.0)
            return person, Portrait(photo, mesh())
        except ValueError:
            continue
    raise ValueError("no photograph can be animated")


def obedient(portrait: Portrait, person: str, index: int) -> Takes:
    """Takes of the portrait. Each begins and ends with the portrait at rest, so that they join without a jump.

    They show a turn and three other actions, which depend on the index: more would multiply the rendering time.
    """
    resting = _swayed([Expression()] * int(_NEUTRAL_S * FPS))
    takes = {NEUTRAL: partial(played, portrait, resting, "take", NEUTRAL, person, index)}
    for action in _repertoire(index):
        if action == _CLOSER:
            takes[action] = partial(_approaching, portrait, person, index)
        else:
            takes[action] = partial(played, portrait, _performed(portrait, action), "take", action, person, index)
    return takes


def _repertoire(index: int) -> list[Action | Literal["move_closer"]]:
    rng = generator("repertoire", index)
    turn, other_turn = _TURNS if rng.uniform() < 0.5 else _TURNS[::-1]
    others = [other_turn, *_OTHERS, _CLOSER]
    return [turn, *(others[int(at)] for at in rng.permutation(len(others))[:3])]


def _performed(portrait: Portrait, action: Action) -> list[Expression]:
    relaxed = portrait.relaxed if action == "smile" else Expression()
    records = list(timeline([action], FPS, sway=False))
    begin = next(record.index for record in records if record.action == action)
    end = max(record.index for record in records if record.action == action)
    kept = records[max(0, begin - _REST_FRAMES) : end + _REST_FRAMES]
    # A smiling portrait fades its smile out before it smiles on request, and in again after it.
    fade = [min(1.0, at / 3, (len(kept) - 1 - at) / 3) for at in range(len(kept))]
    shown = [
        record.expression + relaxed * (share * (1.0 - record.expression.smile))
        for record, share in zip(kept, fade, strict=True)
    ]
    return _swayed(shown)


def _swayed(expressions: Sequence[Expression]) -> list[Expression]:
    """Add the small movements of a head, faded out at both ends."""
    turns = max(1, round(len(expressions) / FPS / 4.3))
    waves = [math.sin(2 * math.pi * turns * at / max(1, len(expressions) - 1)) for at in range(len(expressions))]
    return [
        expression + Expression(yaw_deg=1.2 * wave, pitch_deg=-0.6 * wave)
        for expression, wave in zip(expressions, waves, strict=True)
    ]


def _idle(rng: np.random.Generator) -> list[Expression]:
    shown: list[Expression] = []
    while len(shown) < SECONDS * FPS:
        quiet = int(rng.uniform(1.0, 3.0) * FPS)
        action: Action = "smile" if rng.uniform() < 0.2 else "blink"
        act = [record.expression for record in timeline([action], FPS, sway=False) if record.action == action]
        shown += [Expression()] * quiet + [expression * 0.97 for expression in act]
    return _swayed(shown[: int(SECONDS * FPS)])


def played(portrait: Portrait, expressions: Sequence[Expression], *identity: object) -> Iterator[RgbImage]:
    rng = generator("played", *identity)
    camera = _camera(*identity[-2:])
    return (camera.capture(portrait.render(expression), rng) for expression in expressions)


def _approaching(portrait: Portrait, person: str, index: int) -> Iterator[RgbImage]:
    """The picture magnified about its middle by up to 0.4, and reduced again."""
    rng, camera = generator("approaching", person, index), _camera(person, index)
    picture = portrait.render(Expression())
    for share in np.concatenate([np.linspace(0, 1, 10), np.ones(8), np.linspace(1, 0, 8)]):
        zoom = cv2.getRotationMatrix2D((320.0, 240.0), 0.0, 1.0 + 0.4 * float(share))
        yield camera.capture(np.asarray(cv2.warpAffine(picture, zoom, (640, 480)), np.uint8), rng)


def _camera(*identity: object) -> Camera:
    """The camera of one person's takes."""
    return Camera.draw(generator("puppet camera", *identity))
