"""Issues of a face in a picture, and actions that a person can be asked to do."""

from __future__ import annotations

from enum import StrEnum


class Issue(StrEnum):
    """Why a picture is not good enough to compare; each is a guidance code, too."""

    NO_FACE = "no_face"
    MULTIPLE_FACES = "multiple_faces"
    MOVE_CLOSER = "move_closer"
    MOVE_BACK = "move_back"
    CENTER_FACE = "center_face"
    LOOK_STRAIGHT = "look_straight"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    BLURRY = "blurry"
    EYES_COVERED = "eyes_covered"
    EYES_CLOSED = "eyes_closed"


class Action(StrEnum):
    """One step of a challenge; each is a guidance code, too."""

    BLINK = "blink"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    SMILE = "smile"
    OPEN_MOUTH = "open_mouth"
    MOVE_CLOSER = "move_closer"
    LIGHT = "light"
    """Look at the screen while it changes its colours (core.liveness.cues.light)."""
