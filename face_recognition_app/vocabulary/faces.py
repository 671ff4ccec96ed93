"""Issues of a face in a picture, actions that a person can be asked to do, and guidance, which names both."""

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
    FACE_COVERED = "face_covered"
    EYES_COVERED = "eyes_covered"
    EYES_CLOSED = "eyes_closed"


class FaceChoice(StrEnum):
    """Which pictures with several faces are taken."""

    LARGEST = "largest"
    """Those in which one face is plainly meant."""
    SINGLE = "single"
    """Those without a second face of some size."""


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


class Guidance(StrEnum):
    """What the person in front of the camera should do or know."""

    READY = "ready"
    NO_FACE = Issue.NO_FACE
    MULTIPLE_FACES = Issue.MULTIPLE_FACES
    MOVE_CLOSER = Issue.MOVE_CLOSER
    MOVE_BACK = Issue.MOVE_BACK
    CENTER_FACE = Issue.CENTER_FACE
    LOOK_STRAIGHT = Issue.LOOK_STRAIGHT
    TOO_DARK = Issue.TOO_DARK
    TOO_BRIGHT = Issue.TOO_BRIGHT
    BLURRY = Issue.BLURRY
    FACE_COVERED = Issue.FACE_COVERED
    EYES_COVERED = Issue.EYES_COVERED
    EYES_CLOSED = Issue.EYES_CLOSED
    HOLD_STILL = "hold_still"
    BLINK = Action.BLINK
    TURN_LEFT = Action.TURN_LEFT
    TURN_RIGHT = Action.TURN_RIGHT
    NOD = Action.NOD
    SMILE = Action.SMILE
    OPEN_MOUTH = Action.OPEN_MOUTH
    LIGHT = Action.LIGHT
    BEGIN_AGAIN = "begin_again"
    """The phone was turned, or the frames came in another size: what was proved before must be proved again."""
    CONNECTION_TOO_SLOW = "connection_too_slow"
