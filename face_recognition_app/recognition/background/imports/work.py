"""One run of an import: the part of it that fits into a few seconds.

Pictures go to the engine in the order of the people, some dozens ahead of the answers; whoever has all answers is
enrolled together with those before, in one transaction with the checkpoint and what the report says.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from itertools import count, islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from config.job_settings import job_settings
from config.service import service_settings
from gallery.enrolling.many import Enrolment, Outcome, enroll_many
from gallery.matching import Gallery
from gallery.models import ImportedPicture
from gallery.people import MAX_TEMPLATES, GalleryError, InvalidSubjectId, check_subject_id
from gallery.thresholds import same_person
from jobs.models import Job
from jobs.run import Again, Cancelled, Refused, Result, Run
from recognition.background.engine import client
from recognition.background.engine.client import JobEngine, NoEngine
from recognition.background.engine.messages import EngineLost, Picture
from recognition.background.imports.analysis import NOBODY, TOO_MANY, Good, Known, Pending, known_of
from recognition.background.imports.people import File, Person, Pictures, Unreadable, after
from recognition.background.imports.places import BadSource, ImportFolder
from recognition.background.imports.progress import Progress
from recognition.background.imports.report import Fate, Report
from recognition.background.imports.reports import report_of, shown_as
from recognition.background.imports.sources import open_source
from recognition.deciding import Deciding
from vocabulary.errors import ErrorCode
from vocabulary.jobs import JobStatus

if TYPE_CHECKING:
    from recognition.background.imports.bulk_enroll import BulkEnroll

BATCH = 32
"""People who are enrolled in one transaction."""
AHEAD = 48
"""Pictures that the engine may have at once: it works on while a batch is enrolled."""
AHEAD_BYTES = 64 * 2**20
NO_ENGINE_WAIT_S = 2.0
LISTENS_EVERY_S = 1.0
LONGEST_S = 60.0
ANSWERS_WITHIN_S = 20.0
"""How long a run that is over waits for answers. Live streams may leave the engine no time at all."""


def carry_on(run: Run, asked: BulkEnroll) -> Result | Again:
    """Raises Refused for what cannot be imported."""
    settings = service_settings()
    try:
        root = ImportFolder.of(settings, run.own_tenant)
        pictures = open_source(root, PurePosixPath(asked.source), asked.subject_from)
    except BadSource as error:
        raise Refused(str(error)) from error
    progress = Progress.of(run.checkpoint)
    with closing(pictures):
        report = report_of(run, root, asked.source, progress, settings)
        again = _carry_on(Part(run, asked, pictures, progress, report))
    if again is not None:
        return again
    report.finish()
    return {
        "enrolled": progress.enrolled,
        "subjects": progress.subjects,
        "rejected": progress.rejected,
        "already_there": progress.already_there,
        "report": shown_as(report.path, root, settings),
    }


def _carry_on(part: Part) -> Again | None:
    """None when everybody is done."""
    try:
        return None if part.do() else Again()
    except NoEngine:
        return Again(NO_ENGINE_WAIT_S)
    except EngineLost:
        part.note_loss()
        return Again()
    except Cancelled:
        part.report.finish()
        raise
    finally:
        part.close()


@cache
def _deciding() -> Deciding:
    """Read once in a process: it has read keys, and maps indexes."""
    return Deciding.load(service_settings())


class _NoTime(Exception):
    """The engine does not answer in time: live streams need the cores."""


@dataclass(slots=True)
class Part:
    run: Run
    asked: BulkEnroll
    pictures: Pictures
    progress: Progress
    report: Report
    engine: JobEngine | None = None
    window: deque[Pending] = field(default_factory=deque)
    keys: Iterator[int] = field(default_factory=count)
    over_since: float | None = None
    began: float = field(default_factory=time.monotonic)
    looks_after: float = 0.0
    others_wait: bool = False
    gallery: Gallery = field(init=False)

    def __post_init__(self) -> None:
        self.gallery = _deciding().gallery_of(self.run.own_tenant)

    def do(self) -> bool:
        """Enrol people until the run is over. Returns whether everybody is done."""
        try:
            return self._enrol_all()
        except _NoTime:
            self._enrol(self._complete())
            return False

    def _enrol_all(self) -> bool:
        self.run.total = sum(len(person.files) for person in self.pictures.people)
        left = after(self.pictures.people, self.progress.after)
        while people := list(islice(left, BATCH)):
            known = known_of(self.run.own_tenant, people)
            for person in people:
                if self._makes_way():
                    self._finish_window()
                    return False
                self._begin(person, known.get(person.subject_id, NOBODY))
                self._hear(0.0)
                while self._complete() >= BATCH:
                    self._enrol(BATCH)
        self._finish_window()
        return True

    def _makes_way(self) -> bool:
        """Whether this part of the job is to end: it is over, and others wait, or it has gone on for a minute.

        The next part may be done by a process that must be started first.
        """
        if not self.run.is_over:
            return False
        now = time.monotonic()
        if now >= self.looks_after:
            self.looks_after = now + LISTENS_EVERY_S
            self.others_wait = Job.across_tenants.filter(status=JobStatus.QUEUED).exists()
        return self.others_wait or now - self.began > min(LONGEST_S, job_settings().job_timeout_s / 4)

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()

    def note_loss(self) -> None:
        """The engine's process has died of one of the pictures that it had. The next run shows it one at a time, until
        it is plain of which."""
        waiting = [sha256 for pending in self.window for _, sha256 in pending.waiting.values()]
        if self.progress.alone and len(waiting) == 1:
            self.progress.deadly.append(waiting[0].hex())
        self.progress.alone = not self.progress.alone or len(waiting) != 1
        self.run.checkpoint = self.progress.as_json()
        self.run.save()

    def _begin(self, person: Person, known: Known) -> None:
        """Send the person's pictures to the engine, but those of which it is known what becomes of them."""
        self.run.check()
        pending = Pending(person, known, self.asked.replace)
        self.window.append(pending)
        try:
            check_subject_id(person.subject_id)
        except InvalidSubjectId as error:
            for file in person.files:
                pending.reject(file, error.code, error.message)
            return
        enrolled = 0 if self.asked.replace else known.enrolled
        seen = set() if self._is_renewed(pending) else set(known.files)
        room = MAX_TEMPLATES - enrolled
        for file in person.files:
            if room <= 0 and not known.files:
                pending.reject(file, ErrorCode.TOO_MANY_TEMPLATES, TOO_MANY)
                continue
            found = self._read(pending, file)
            if found is None:
                continue
            data, sha256 = found
            if sha256 in seen:
                pending.already_there(file)
            elif sha256.hex() in self.progress.deadly:
                pending.reject(file, ErrorCode.INTERNAL, "the engine dies of this picture")
            elif room <= 0:
                pending.reject(file, ErrorCode.TOO_MANY_TEMPLATES, TOO_MANY)
            else:
                seen.add(sha256)
                room -= 1
                self._send(pending, file, data, sha256)

    def _is_renewed(self, pending: Pending) -> bool:
        """Whether what the person has is replaced: not if it was made from these very pictures."""
        if not self.asked.replace or not pending.known.files:
            return self.asked.replace
        found = {read[1] for file in pending.person.files if (read := self._read(pending, file)) is not None}
        return found != pending.known.files or len(found) != pending.known.enrolled

    def _read(self, pending: Pending, file: File) -> tuple[bytes, bytes] | None:
        """A picture's content and its SHA-256; None when it is rejected."""
        try:
            if file.refused is not None:
                raise file.refused
            data = self.pictures.read(file.name, service_settings().max_image_bytes)
        except Unreadable as error:
            pending.reject(file, error.code, error.words)
            return None
        return data, hashlib.sha256(data).digest()

    def _send(self, pending: Pending, file: File, data: bytes, sha256: bytes) -> None:
        if self.engine is None:
            self.engine = client.take(service_settings(), self.run.check, lambda: self.run.is_over)
        most = 1 if self.progress.alone else AHEAD
        while len(self.engine.sent) >= most or sum(self.engine.sent.values()) > AHEAD_BYTES:
            self._hear(LISTENS_EVERY_S)
        key = next(self.keys)
        pending.waiting[key] = (file, sha256)
        keep = self.run.own_tenant.picture_days > 0
        self.engine.send(Picture(key, data, self.gallery.model_id, self.asked.face, keep))

    def _hear(self, within_s: float) -> None:
        """Take notice of the answers that are there, and of one that comes in time."""
        self.run.check()
        while self.engine is not None and self.engine.sent:
            seen = self.engine.receive(within_s)
            if seen is None:
                self._check_time()
                return
            within_s, self.over_since = 0.0, None
            pending = next(one for one in self.window if seen.key in one.waiting)
            file, sha256 = pending.waiting.pop(seen.key)
            if seen.sample is None:
                pending.reject(file, seen.code, seen.words)
            else:
                pending.found[file.name] = Good(file, sha256, seen.sample)

    def _check_time(self) -> None:
        """Raises _NoTime when the run has waited for the engine for some time after it was over."""
        if self.run.is_over:
            self.over_since = self.over_since or time.monotonic()
            if time.monotonic() - self.over_since > ANSWERS_WITHIN_S:
                raise _NoTime

    def _complete(self) -> int:
        """How many at the beginning of the window have all answers, up to a batch."""
        number = 0
        for pending in islice(self.window, BATCH):
            if not pending.is_complete:
                break
            number += 1
        return number

    def _finish_window(self) -> None:
        while self.window:
            while self._complete() < min(BATCH, len(self.window)):
                self._hear(LISTENS_EVERY_S)
            self._enrol(min(BATCH, len(self.window)))

    def _enrol(self, number: int) -> None:
        """Enrol the first of the window, with all that tells of it."""
        if not number:
            return
        tenant, deciding, asked = self.run.own_tenant, _deciding(), self.asked
        batch = list(islice(self.window, number))
        good = [(one, found) for one in batch if (found := one.good(same_person(self.gallery.profile)))]
        self.gallery.store.refresh(tenant)  # Before the locks, for which others wait.
        with self.run.step():
            outcomes = enroll_many(
                tenant,
                [_enrolment(one.person, found, asked) for one, found in good],
                self.gallery,
                deciding.rules,
            )
            self._note([(*one, outcome) for one, outcome in zip(good, outcomes, strict=True)])
            rows = [row for one in batch for row in one.report()]
            self.report.add(rows)
            self.progress.rejected += sum(row.fate is Fate.REJECTED for row in rows)
            self.progress.already_there += sum(row.fate is Fate.ALREADY_THERE for row in rows)
            self.progress.after = batch[-1].person.subject_id
            self.progress.written, self.progress.alone = self.report.written, False
            self.run.done += len(rows)
            self.run.checkpoint = self.progress.as_json()
        for _ in batch:
            self.window.popleft()

    def _note(self, outcomes: Sequence[tuple[Pending, list[Good], Outcome]]) -> None:
        imported = []
        for pending, good, outcome in outcomes:
            if isinstance(outcome, GalleryError):
                pending.refuse(good, outcome.code, outcome.message)
                continue
            self.progress.subjects += 1
            self.progress.enrolled += len(good)
            for one, template in zip(good, outcome.templates, strict=True):
                pending.enrolled(one.file)
                imported.append(ImportedPicture(subject_id=template.subject_id, template=template, sha256=one.sha256))
        ImportedPicture.objects.bulk_create(imported)


def _enrolment(person: Person, good: Sequence[Good], asked: BulkEnroll) -> Enrolment:
    samples, consent = [one.sample for one in good], None if asked.consent is None else asked.consent.given
    return Enrolment(person.subject_id, samples, person.display_name, person.metadata, consent, asked.renewal)
