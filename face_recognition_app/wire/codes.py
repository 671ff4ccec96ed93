"""Messages of the guidance codes."""

from __future__ import annotations

from vocabulary.faces import Guidance

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
    Guidance.BEGIN_AGAIN: "The picture was turned or resized. Once more, please.",
    Guidance.CONNECTION_TOO_SLOW: "Too few pictures arrive. Move to where the connection is better.",
}
