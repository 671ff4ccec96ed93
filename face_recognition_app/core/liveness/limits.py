"""Every limit of the liveness check, in one place; what is let through and refused with them is in docs/liveness.md.

Each stands where the attacks of the tuning people end, and keeps clear of those people. MANY_BLINKS and LONG_STILL_MS
were chosen knowing how three of the test people had been refused.
"""

from __future__ import annotations

FRONTAL_DEG = 20.0
"""Beyond this yaw or pitch lids and lips cannot be measured."""
STEADY_DEG = 6.0
"""Readings are compared only within this much of their median pose: a tilted photograph seems to move its mouth."""
SHARP_SHARE = 0.8
"""...and only when at least this sharp against their median: motion blur seems to close lips."""
BLINK_SHARP_SHARE = 0.6
"""The same for eyes, which blur seems to close, and which are dull when they are closed: 0.61 in a sharp portrait. Of
1,338 series of 90 photographs, sharp and motion-blurred in turn, one blinks."""
SHARPEST_SHARE = 0.7
"""A mouth also against the third sharpest: of a photograph that is shaken most of the time the median is blurred, and
blur along the face seems to close the lips."""

BLINK_RISE = 0.28
"""Coefficient above the open eye's. Blinks in clips: 0.31 and more; sharp photographs: 0.17 at most."""
BLINK_NARROWING = 0.62
"""Lid opening against the open eye's. Blinks: 0.51 and less; sharp photographs: 0.76 at least."""
BLINK_REOPENED = 0.8
BLINK_MAX_MS = 1_000
OPEN_WINDOW = 20
MIN_OPEN_READINGS = 3

MOUTH_RANGE = 0.14
"""Third largest minus third smallest opening. Talking people: 0.15 and more; of 40 photographs tilted to 35 degrees
the worst reached 0.13, held upright 0.06."""
MOUTH_CLOSED_SHARE = 0.5
"""The smallest against the largest: a photographed open mouth seems to open wider when tilted, but does not close."""
MOUTH_TURNS = 2
"""Changes between open and closed: speech goes to and fro, a slowly tilted photograph does not."""
MOUTH_WIDE_RANGE = 0.20
"""A range at which one change is enough; half as much again as any sharp photograph reached."""
MOUTH_WINDOW = 40
MOUTH_WINDOW_MS = 4_000
MIN_MOUTH_READINGS = 8

LIVE_SCORE = 0.5
"""The anti-spoof network's, median over the session's frames that were asked."""
MIN_SCORES = 3
MIN_SCORES_TO_REFUSE = 6

MOIRE = 1.5
"""Height of the strongest regular pattern, decades, exceeded by a quarter of the frames. 48 windows of the tuning
people: 1.44 and less; 100 press photographs: one above, 1.53; 25 of 36 displays that play a video: above."""
MIN_MOIRES = 3
MIN_MOIRES_TO_REFUSE = 5

SKIN_WINDOW = 36
"""Samples; at ten a second a little under four seconds."""
MIN_SKIN_SAMPLES = 18
SKIN_EVERY = 6
SKIN_CHANGED = 0.007
"""Of who speaks, or blinks again and again. Living people: 0.013 and more while they speak."""
SKIN_CHANGED_MORE = 0.0142
"""Of who blinked once, and whose shoulders move. Of 24 photographs with eye holes one reached it."""
SKIN_CHANGED_MUCH = 0.022
"""Where no shoulders are seen and nothing was asked. With it three of 24 squeezed photographs pass."""
MANY_BLINKS = 2
"""Who sits still and only blinks, blinks again: a quiet person, but also whoever looks through a mask."""

BODY_WINDOW = 36
MIN_BODY_READINGS = 12
BODY_POSE_DEG = 4.0
BODY_MOUTH = 0.08
BODY_SMILE = 0.15
BODY_SIZE = 0.04
"""The body is looked at while the face is this much as it was: yaw and pitch, lips, smile, share of its size."""
BODY_MOVED = 0.55
"""Per cent of the width of the face that shoulders move, against what is behind them. Breathing: 0.67 and more."""

OBSERVED_READINGS = 36
OBSERVED_MS = 3_600
PAUSE_MS = 500
"""Passive evidence is weighed no sooner than after so many readings or so long: a loop shows itself only then."""

REPETITION_WINDOW = 90
FORWARD_READINGS = 7
FORWARD_ALIKE = 0.4
"""Loops with new noise in each frame: 0.26 and less; living people: 0.56 and more."""
BACKWARD_READINGS = 8
BACKWARD_ALIKE = 0.25
"""Clips played to and fro: 0.13 and less; living people: 0.42 and more, a smile that comes and goes."""
MOVING = 1.2
LONG_STILL = 15
LONG_STILL_MS = 1_400
"""Readings and time for both: people are still for half a second."""
STILL = 0.55
"""A picture held with new noise: 0.50 and less; living people, filmed and slowed to 0.4, too: 0.80 and more."""

FROZEN_FRAMES = 15
FROZEN_MS = 1_400
"""Identical pictures one after another for both: a slow camera repeats two or three."""

RESENT_FRAMES = 5
"""The newest frames of a broken connection: those whose answers may have been lost with it."""
DIGESTS_KEPT = 1_000
"""A session of 30 s at 30 frames a second, and some."""

STEP_WINDOW_MS = 10_000
NEUTRAL_READINGS = 3
NEUTRAL_MAX_YAW_DEG = 15.0
NEUTRAL_DEG = 6.0
"""A step begins within this of the person's own neutral yaw and pitch..."""
NEUTRAL_SMILE = 0.25
NEUTRAL_MOUTH = 0.12
NEUTRAL_SIZE = 0.08
"""...with the smile, the mouth and the distance that near to neutral, too."""
NEUTRAL_HELD = 2
"""Readings that are neutral after a step was told, before it counts: nobody answers sooner."""
TURN_DEG = 12.0
"""Yaw away from this person's own neutral; living people who only talk stay within 6.

This and the nod are the test of depth: the pose is a rigid fit of a head, and a plane that is turned does not move as a
head does. Of 40 photographs on paper, each held flat and bent at up to 40 degrees in 14 ways, one seems to turn by 12
degrees and one to nod by 9; the median of those turned by 40 is 7.
"""
NOD_DEG = 9.0
"""Pitch down from neutral; the nod is complete when half of it is undone."""
SMILE_RISE = 0.3
"""Of the smile's coefficient above neutral..."""
SMILE_WIDENING = 1.03
"""...and of the mouth's width against neutral."""
MOUTH_OPENED = 0.22
"""Distance of the lips over that of the irises, above neutral."""
CLOSER = 1.2
"""Size of the face against neutral."""

ACTION_READINGS = 2
"""Readings in a row that show an action: a picture that flashes up is none."""
MISTAKES_ALLOWED = 1
"""Something else done, from neutral, than what was asked; the next mistake ends the session."""
MISTAKE_READINGS = 2
"""Readings in a row that show it."""

LIGHT_HOLD_MS = 900
"""Each colour of the screen, at least: 1.1 changes a second. Up to three flashes a second are held to be harmless
(Web Content Accessibility Guidelines 2.2, success criterion 2.3.1)."""
LIGHT_SETTLES_MS = 450
"""Until a colour that was told is shown, and the camera's exposure has followed."""
LIGHT_READINGS = 2
LIGHT_COLOURS = 7
LIGHT_DRAWN = 12
LIGHT_AGREEMENT = 0.85
LIGHT_TINT = 0.008
"""Correlation, and root mean square of the answers about their mean. Of ten streams of the tuning people whose face
takes 8 % of its light from the screen all reach both, at 4 % nine, at 2 % seven, without any none. Of 600 made up faces
that answer the colours of another session 1.7 % do."""
