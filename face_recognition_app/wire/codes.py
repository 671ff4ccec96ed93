"""Guidance and reason codes with their messages."""

from __future__ import annotations

from enum import StrEnum


class Guidance(StrEnum):
    """What the person in front of the camera should do or know."""

    READY = "ready"
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
    HOLD_STILL = "hold_still"
    BLINK = "blink"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    SMILE = "smile"
    OPEN_MOUTH = "open_mouth"
    LIGHT = "light"


GUIDANCE_MESSAGES: dict[Guidance, str] = {
    Guidance.READY: "Looking good.",
    Guidance.NO_FACE: "No face in the picture. Look at the camera.",
    Guidance.MULTIPLE_FACES: "More than one face. Only one person, please.",
    Guidance.MOVE_CLOSER: "Come closer.",
    Guidance.MOVE_BACK: "Move back a little.",
    Guidance.CENTER_FACE: "Bring your whole face into the picture.",
    Guidance.LOOK_STRAIGHT: "Look straight at the camera.",
    Guidance.TOO_DARK: "Too dark. Turn towards a light.",
    Guidance.TOO_BRIGHT: "Too bright. Turn away from the light.",
    Guidance.BLURRY: "Blurred. Hold the camera still.",
    Guidance.EYES_COVERED: "Uncover your eyes; take off dark glasses.",
    Guidance.EYES_CLOSED: "Open your eyes.",
    Guidance.HOLD_STILL: "Hold still.",
    Guidance.BLINK: "Blink slowly.",
    Guidance.TURN_LEFT: "Turn your head to your left.",
    Guidance.TURN_RIGHT: "Turn your head to your right.",
    Guidance.NOD: "Nod: chin down, and up again.",
    Guidance.SMILE: "Smile.",
    Guidance.OPEN_MOUTH: "Open your mouth wide.",
    Guidance.LIGHT: "Look at the screen while it changes its colours.",
}


class Reason(StrEnum):
    """Why a session did not succeed."""

    NO_MATCH = "no_match"
    LIVENESS_TIMEOUT = "liveness_timeout"
    SPOOF_SUSPECTED = "spoof_suspected"
    FACE_CHANGED = "face_changed"
    WRONG_ACTION = "wrong_action"
    STREAM_FROZEN = "stream_frozen"
    STREAM_REPEATED = "stream_repeated"
    CAMERA_CHANGED = "camera_changed"
    REPLAY_SUSPECTED = "replay_suspected"
    DUPLICATE_FACE = "duplicate_face"
    SUBJECT_EXISTS = "subject_exists"
    SUBJECT_GONE = "subject_gone"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ATTEMPTS_EXCEEDED = "attempts_exceeded"


REASON_MEANINGS: dict[Reason, str] = {
    Reason.NO_MATCH: "The face is not the claimed person's, or nobody's who is enrolled.",
    Reason.LIVENESS_TIMEOUT: "No proof of a live person came in time.",
    Reason.SPOOF_SUSPECTED: "The picture looks like a photograph or a screen.",
    Reason.FACE_CHANGED: "Another face came into the stream.",
    Reason.WRONG_ACTION: "Something else was done than what was asked, too often.",
    Reason.STREAM_FROZEN: "The picture stood still: the same frame came again and again.",
    Reason.STREAM_REPEATED: "Frames or movements came again, as in a recording that is played in a loop.",
    Reason.CAMERA_CHANGED: "The frames became larger or smaller: another camera, or no camera, took over.",
    Reason.REPLAY_SUSPECTED: "Frames of this session were sent in an earlier session.",
    Reason.DUPLICATE_FACE: "The face is enrolled under another subject already.",
    Reason.SUBJECT_EXISTS: "The subject is enrolled already, with another face.",
    Reason.SUBJECT_GONE: "The subject was deleted, or has no template.",
    Reason.TIMEOUT: "The session's time was over before there were enough good frames.",
    Reason.CANCELLED: "The client or the backend cancelled the session.",
    Reason.ATTEMPTS_EXCEEDED: "Too many failed attempts; wait before the next.",
}
