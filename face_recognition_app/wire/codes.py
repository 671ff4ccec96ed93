"""Messages of the guidance and reason codes."""

from __future__ import annotations

from vocabulary.faces import Guidance
from vocabulary.sessions import Reason

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
    Guidance.FACE_COVERED: "Show your mouth and nose; take off the mask.",
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
