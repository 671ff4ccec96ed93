"""What one session does with its frames: observations in, progress and one outcome out. Pure."""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from pydantic import Base64UrlBytes, ConfigDict, with_config

from core.features.embedder.profile import PINNED, EmbedderProfile
from core.features.values import Appearance, FrameSamples, Quality, plainly_the_same
from core.liveness.continuity import FrameFingerprint
from core.liveness.decision import Liveness, Verdict
from core.liveness.evidence import Evidence
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from core.types import Box, Detail, Embedding
from gallery.thresholds import same_person
from gallery.upkeep.selection import least_useful
from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import Purpose, Reason

SAMPLE_GAP_MS = 300
SAMPLE_GAP_FRAMES = 5
"""Samples of an enrolment stand this far apart in time or in frames, so that they differ."""
PROBE_GAP_MS = 200
PROBE_GAP_FRAMES = 3
SPOOF_EVERY_FRAMES = 3
COMPARED_AGAIN_FRAMES = 3 * SPOOF_EVERY_FRAMES
"""Frames between repeated comparisons after a match, until liveness is decided."""
AGREED_FRAMES = 16
"""A success requires that the latest comparison matched and is at most this many frames old."""
_NEVER = -1_000
MAX_UNEMBEDDED_FRAMES = 4
"""Most frames in a row that count without an embedding, however similar their appearance."""
MAX_SEEN_DIGESTS = 150

HARMLESS_TO_LIVENESS = frozenset({Issue.LOOK_STRAIGHT, Issue.EYES_CLOSED})
"""Issues that a liveness step causes: such a frame is evidence of the same person, but cannot be a sample."""
_COVERED = frozenset({Issue.FACE_COVERED})
_NO_SINGLE_FACE = {Issue.NO_FACE, Issue.MULTIPLE_FACES}


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What to compute from the frame of `at_ms` besides the mesh.

    `spoof`: the anti-spoof network, and the search for the grid of a display.
    `identity`: evidence of liveness, and proof of the same person, because a frame of another person may not count.
    `probe`: an embedding to keep as a sample or to match. `tint`: the colour of the light on the face.
    `picture`: of a sample the aligned crop, too.
    """

    at_ms: int
    spoof: bool
    identity: bool
    probe: bool
    tint: bool = False
    picture: bool = False

    @property
    def detail(self) -> Detail:
        """LIGHT for a frame that can prove nothing: only the place of its face is needed."""
        return Detail.FULL if self.identity or self.probe else Detail.LIGHT


@dataclass(frozen=True, slots=True)
class Match:
    """The best candidate for one probe, and the similarity it needed (raw cosines)."""

    subject_id: str
    similarity: float
    threshold: float

    @property
    def accepted(self) -> bool:
        return self.similarity >= self.threshold


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """The face of a frame that counts.

    `frame_samples` is None where liveness is decided, `embedding` where `Flow.recognises` the appearance. A probe
    always has an embedding. `picture`: the aligned crop as PNG, where the plan asks for it.
    """

    reading: FaceReading
    frame_samples: FrameSamples | None
    appearance: Appearance
    embedding: Embedding | None
    is_probe: bool
    picture: bytes = b""


@dataclass(frozen=True, slots=True)
class Observation:
    """Result of analysing one frame; `face` is None when the frame does not count."""

    fingerprint: FrameFingerprint
    box: Box | None
    quality: Quality
    face: FaceSeen | None = None

    @property
    def probe(self) -> Embedding | None:
        """Embedding to search in the gallery or to keep as a sample; None when the frame is no probe."""
        return self.face.embedding if self.face is not None and self.face.is_probe else None


@dataclass(slots=True)
class KeptSample:
    """A good frame's embedding (float32 bytes), quality, and aligned crop as PNG if the tenant keeps pictures."""

    vector: Base64UrlBytes
    quality: float
    picture: Base64UrlBytes = b""

    @property
    def embedding(self) -> Embedding:
        return np.frombuffer(self.vector, np.float32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`duplicate_of`: the subject that has the face of an enrolment already; empty for none."""

    success: bool
    reason: Reason | None
    subject_id: str | None
    match: Match | None
    duplicate_of: str = ""


@with_config(ConfigDict(extra="forbid", hide_input_in_errors=True))
@dataclass(slots=True)
class Flow:
    """The whole state of one session; everything in it survives a worker (recognition.sessions.checkpoints).

    Reading a state refuses unknown fields, in every part of it.
    """

    purpose: Purpose
    subject_id: str | None
    target_samples: int
    no_match_frames: int
    liveness: Liveness
    frames: int = 0
    probed_frame: int = _NEVER
    probed_at_ms: int = -1_000_000
    samples: list[KeptSample] = field(default_factory=list)
    anchor: Base64UrlBytes = b""
    appearance: Base64UrlBytes = b""
    glances: int = 0
    unmatched: int = 0
    match: Match | None = None
    matched_probe: Base64UrlBytes = b""
    matched_frame: int = _NEVER
    nearest: Match | None = None
    failure: Reason | None = None
    covered_faces: bool = False
    """Whether a face with a mask may be recognised."""
    keeps_pictures: bool = False
    """Whether samples of an enrolment have their pictures."""
    same_person: float = same_person()
    another_person: float = PINNED.another_person
    """Similarities of the embedder."""
    model_id: str = ""
    """The embedder that has made everything here; empty for the one in use."""

    @classmethod
    def begin(
        cls,
        purpose: Purpose,
        subject_id: str | None,
        policy: Policy,
        challenge_id: str,
        target_samples: int,
        no_match_frames: int,
        steps: int | None = None,
        allowed: Set[Action] | None = None,
        *,
        covered_faces: bool = False,
        keeps_pictures: bool = False,
        profile: EmbedderProfile = PINNED,
        model_id: str = "",
    ) -> Flow:
        """`covered_faces` has no effect on an enrolment, and `keeps_pictures` on nothing else.

        Raises TooFewActions when fewer actions are allowed than steps are asked for.
        """
        liveness = Liveness.begin(policy, challenge_id, random.SystemRandom(), steps, allowed)
        recognises = purpose in (Purpose.AUTHENTICATION, Purpose.IDENTIFICATION)
        return cls(
            purpose,
            subject_id,
            target_samples,
            no_match_frames,
            liveness,
            covered_faces=covered_faces and recognises,
            keeps_pictures=keeps_pictures and purpose is Purpose.ENROLLMENT,
            same_person=same_person(profile),
            another_person=profile.another_person,
            model_id=model_id,
        )

    def begin_anew(self, model_id: str, profile: EmbedderProfile) -> None:
        """Go on with another embedder. What the one before has made compares with nothing any more, so the person must
        be seen again: only what speaks against the person stays."""
        if self.anchor:
            self.liveness.restart(self.newest_ms)
        self.samples, self.anchor, self.appearance, self.glances = [], b"", b"", 0
        if self.match is not None:
            self.match, self.matched_probe, self.unmatched = None, b"", 0
        self.nearest, self.probed_frame, self.matched_frame = None, _NEVER, _NEVER
        self.same_person, self.another_person = same_person(profile), profile.another_person
        self.model_id = model_id

    @property
    def progress(self) -> tuple[object, ...]:
        """Value that changes when state must be stored: what the client was told, or evidence against the person."""
        return (
            self.liveness.progress,
            self.frames > 0,
            len(self.samples),
            len(self.anchor),
            self.unmatched,
            self.match.subject_id if self.match is not None else None,
        )

    @property
    def newest_ms(self) -> int:
        """Time of the newest frame that is remembered, in milliseconds since the session began."""
        return max(0, self.liveness.last_seen_ms, self.probed_at_ms)

    @property
    def was_tried(self) -> bool:
        """Whether something speaks against the person who was seen."""
        return self.liveness.doubtful or (self.unmatched > 0 and self.match is None)

    @property
    def matched_embedding(self) -> Embedding:
        """The newest matched probe. Call only after a match."""
        return np.frombuffer(self.matched_probe, np.float32)

    @property
    def seen_digests(self) -> list[str]:
        """Digests of half the frames. The bytes of a frame select it, so a replay keeps the same half."""
        digests = self.liveness.continuity.digests
        return [digest for digest in digests if int(digest[-1], 16) % 2 == 0][:MAX_SEEN_DIGESTS]

    def evidence(self) -> dict[str, Any]:
        """The numbers behind the decision, as JSON values."""
        return asdict(Evidence.of(self.liveness))

    def plan(self, at_ms: int) -> FramePlan:
        """What to compute from the next frame."""
        asked = self.liveness.policy is not Policy.NONE
        pending = self.liveness.verdict is Verdict.PENDING
        probe = self._wants_probes and self._gap_is_over(at_ms)
        return FramePlan(
            at_ms,
            spoof=asked and (probe or (pending and self.frames % SPOOF_EVERY_FRAMES == 0)),
            identity=pending,
            probe=probe,
            tint=self.liveness.instruction == Action.LIGHT,
            picture=self.keeps_pictures,
        )

    def observe(self, seen: Observation, match: Match | None, late_ms: int | None = None) -> Outcome | None:
        """Take one frame. Returns the outcome when the frame decides the session.

        A picture that comes again is no second observation of the person; what speaks against it does so again.
        `match` is the best candidate for the frame's probe: None without a probe or without a candidate. `late_ms`: how
        much later the frame came than the service could take it; None where nobody knows.
        """
        self.frames += 1
        is_new = self.liveness.check_continuity(seen.fingerprint, late_ms)
        if _NO_SINGLE_FACE & set(seen.quality.issues):
            self.liveness.interrupt()
            self.appearance = b""
        elif seen.face is not None:
            if is_new and self._shows_the_person(seen.face, self.faults(seen.quality)):
                self._take_evidence(seen, seen.face, match)
            else:
                self.liveness.suspect(seen.face.reading)
        return self.outcome()

    def faults(self, quality: Quality) -> set[Issue]:
        """The issues that this session does not put up with."""
        return set(quality.issues) - (_COVERED if self.covered_faces else set())

    def recognises(self, appearance: Appearance, reading: FaceReading) -> bool:
        """Whether a frame so plainly shows the person of the last embedded frame that it needs no embedding.

        False while the eyes close or open: one frame of another person could fake a blink.
        """
        known = np.frombuffer(self.appearance, np.float32)
        fresh = known.size > 0 and self.glances < MAX_UNEMBEDDED_FRAMES
        return fresh and not self.liveness.blink.may_change(reading) and plainly_the_same(appearance, known)

    def resume(self) -> None:
        """Note that a client connected again."""
        self.liveness.continuity.resume()

    def outcome(self) -> Outcome | None:
        """The outcome that follows from the evidence so far; None while the session is open."""
        if self.purpose is Purpose.SANDBOX:
            return None
        if self.failure is not None:
            return self._fail(self.failure)
        if self.liveness.failure is not None:
            return self._fail(self._reason(self.liveness.failure))
        if self.unmatched >= self.no_match_frames and not self._agrees:
            return self._fail(Reason.NO_MATCH)
        if self.liveness.verdict not in (Verdict.PASSED, Verdict.NOT_REQUIRED):
            return None
        if self.purpose is Purpose.ENROLLMENT:
            complete = len(self.samples) >= self.target_samples
            return Outcome(True, None, self.subject_id, None) if complete else None
        return Outcome(True, None, self.match.subject_id, self.match) if self.match and self._agrees else None

    def time_is_up(self) -> Outcome:
        """The outcome at the session's time limit."""
        decided = self.outcome()
        if decided is not None:
            return decided
        pending = self.liveness.verdict is Verdict.PENDING
        return self._fail(self._reason(Reason.LIVENESS_TIMEOUT if pending else Reason.TIMEOUT))

    def guidance(self, quality: Quality) -> Guidance:
        if self.liveness.begins_again:
            return Guidance.BEGIN_AGAIN
        faults = self.faults(quality)
        blocking = [issue for issue in quality.issues if issue in faults and not self._excused(issue)]
        if blocking:
            return Guidance(blocking[0])
        instruction = self.liveness.instruction
        if instruction is not None and self.liveness.pace.is_slow_now:
            return Guidance.CONNECTION_TOO_SLOW
        if instruction is not None:
            return Guidance(instruction)
        return Guidance.READY if self.purpose is Purpose.SANDBOX else Guidance.HOLD_STILL

    def _excused(self, issue: Issue) -> bool:
        """Whether a liveness step causes the issue: steps ask for closed eyes or a turned head."""
        return issue in HARMLESS_TO_LIVENESS and self.liveness.instruction not in (None, "hold_still")

    def _gap_is_over(self, at_ms: int) -> bool:
        frames, ms = self.frames + 1 - self.probed_frame, at_ms - self.probed_at_ms
        if self.purpose is Purpose.ENROLLMENT:
            return frames >= SAMPLE_GAP_FRAMES or ms >= SAMPLE_GAP_MS
        if self._agrees:
            return frames >= COMPARED_AGAIN_FRAMES
        return frames >= PROBE_GAP_FRAMES or ms >= PROBE_GAP_MS

    @property
    def _wants_probes(self) -> bool:
        """Whether a sample or probe is of use: never in a sandbox, always in a recognition. In an enrolment up to the
        target, and from there on while liveness is undecided: the best samples are kept."""
        if self.purpose is Purpose.ENROLLMENT:
            return len(self.samples) < self.target_samples or self.liveness.verdict is Verdict.PENDING
        return self.purpose is not Purpose.SANDBOX

    @property
    def _agrees(self) -> bool:
        """Whether the latest comparison matched and is recent; somebody similar may have replaced the person since."""
        return self.frames - self.matched_frame <= AGREED_FRAMES

    def _shows_the_person(self, face: FaceSeen, faults: set[Issue]) -> bool:
        if face.embedding is None:
            known = self.recognises(face.appearance, face.reading)
            self.glances += 1
            return known
        same = self._is_the_person(face.embedding, faults)
        self.appearance = face.appearance.tobytes() if same else b""
        self.glances = 0
        return same

    def _is_the_person(self, embedding: Embedding, faults: set[Issue]) -> bool:
        """Whether a frame shows the person of the first good frame. A good frame that does not fails the session.

        Who turns away may look too little like before to count, and yet like nobody else: then the evidence goes on.
        """
        if not self.anchor and not faults:
            self.anchor = embedding.astype(np.float32).tobytes()
        if not self.anchor:
            return False
        similarity = float(np.frombuffer(self.anchor, np.float32) @ embedding)
        if similarity < self.same_person and not faults:
            self.failure = Reason.FACE_CHANGED
        if similarity < (self.another_person if Issue.LOOK_STRAIGHT in faults else self.same_person):
            self.liveness.interrupt()
        return similarity >= self.same_person

    def _take_evidence(self, seen: Observation, face: FaceSeen, match: Match | None) -> None:
        self.liveness.observe(face.reading, face.frame_samples)
        if seen.probe is not None:
            self.probed_frame, self.probed_at_ms = self.frames, seen.fingerprint.at_ms
            unasked, live_score = self.liveness.policy is Policy.NONE, face.reading.live_score
            if unasked or (live_score is not None and live_score >= self.liveness.least_live_score(face.reading)):
                vector = seen.probe.astype(np.float32).tobytes()
                if self.purpose is Purpose.ENROLLMENT:
                    self._take_sample(KeptSample(vector, seen.quality.score, face.picture))
                else:
                    self._take_match(match, vector)

    def _take_sample(self, sample: KeptSample) -> None:
        self.samples.append(sample)
        if len(self.samples) > self.target_samples:
            embeddings = [kept.embedding for kept in self.samples]
            del self.samples[least_useful(embeddings, [kept.quality for kept in self.samples])]

    def _take_match(self, match: Match | None, vector: bytes) -> None:
        if match is not None and (self.nearest is None or match.similarity > self.nearest.similarity):
            self.nearest = match
        if match is not None and match.accepted:
            self.match, self.matched_probe, self.matched_frame = match, vector, self.frames
        else:
            self.unmatched, self.matched_frame = self.unmatched + 1, _NEVER

    def _reason(self, reason: str) -> Reason:
        """The reason as it is told: where time ran out, it depends on how much could be seen, and on who was slow."""
        if reason not in (Reason.LIVENESS_TIMEOUT, Reason.TIMEOUT):
            return Reason(reason)
        pace = self.liveness.pace
        if pace.too_slow:
            return Reason.CONNECTION_TOO_SLOW
        return Reason(reason) if self.liveness.was_seen and pace.allows(self.frames) else Reason.TIMEOUT

    def _fail(self, reason: Reason) -> Outcome:
        return Outcome(False, reason, None, self.nearest)


CANCELLATION = Outcome(False, Reason.CANCELLED, None, None)
