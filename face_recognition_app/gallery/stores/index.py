"""The index of one tenant and model: its files, who may change them, and how they follow the database.

    FACE_DATA_DIR/index/<tenant>/<model>/
        rows            the row file that is searched
        rows.new        one that is made while there is no usable one
        rows.renewed    one that is made beside it
        write.lock      held to change or replace `rows`
        renewal.lock    held to make `rows.renewed`

The database is the truth and the index a projection of it: whatever is wrong with the files, they are made anew.
Whoever finds the file behind the database, in whichever process, brings it up to date for all. Locks end with their
process, and what a killed process leaves is cleaned up by the next that takes the lock.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gallery import changes
from gallery.changes import Point
from gallery.stores.base import Advance
from gallery.stores.row_file import DamagedFile, RowFile, State, summary
from gallery.stores.source import Source

logger = logging.getLogger(__name__)

LEAST_ROOM = 4_096
"""Spare rows of a new file; it has room for as many again as there are, at least."""
CHANGE_WAIT_S = 1.0
"""Time for which a search waits for another process that brings the index up to date, and may have been stopped."""
FIRST_USE_WAIT_S = 30.0
"""The same where there is no index, and so more to do without it."""
LOCK_TRIED_EVERY_S = 0.002
LEFTOVERS = {"rows.new": "write.lock", "rows.renewed": "renewal.lock", "graph*": "renewal.lock"}
"""Files that nobody needs, once their lock can be taken. Graphs are of versions that searched along them."""


class CannotFollow(Exception):
    """The index cannot be brought up to date by single changes; the message says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file, and what of it is the gallery. `removals`: of the file, no later than its state."""

    file: RowFile
    state: State
    removals: int

    @classmethod
    def of(cls, file: RowFile) -> Snapshot:
        """Raises DamagedFile."""
        file.check()
        removals = file.removals
        return cls(file, file.state(), removals)

    @property
    def is_whole(self) -> bool:
        """Whether no row was removed since: what was found is the gallery at one moment. A row may be removed with the
        new one that takes its place not yet in the snapshot."""
        return self.file.removals == self.removals

    @property
    def templates(self) -> int:
        return self.state.count - self.state.removed

    def missing(self, pks: Sequence[int]) -> list[int]:
        """The templates that the file has not. Those that were added while it was made may be in it already."""
        known = set(self.file.pks[self.file.rows_of(pks, self.state.count)].tolist())
        return [pk for pk in pks if pk not in known]


class Index:
    """Thread-safe. Methods make queries on the calling thread's connection, and raise OSError when the disk is full."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / "rows"
        self._mapping = threading.Lock()
        self._file: RowFile | None = None

    def up_to_date(self, source: Source) -> Snapshot:
        """The gallery as of a commit no earlier than the call. Raises TimeoutError, an OSError, when another process
        holds up the change."""
        held = self.snapshot(source)
        if held is not None and changes.since(source.tenant, held.state.point)[1] == changes.NOTHING:
            return held
        with self._locked("write.lock", FIRST_USE_WAIT_S if held is None else CHANGE_WAIT_S) as mine:
            if not mine:
                raise TimeoutError("another process has held its lock for too long")
            return self._followed(source)

    def snapshot(self, source: Source) -> Snapshot | None:
        """What the file has; None when there is none that can be used."""
        try:
            file = self._open(source)
            return None if file is None else Snapshot.of(file)
        except DamagedFile as damage:
            logger.warning("the index of tenant %s is made anew: %s", source.tenant.name, damage)
            self._file = None
            return None

    def held(self) -> Snapshot | None:
        """What this process has mapped."""
        file = self._file
        try:
            return None if file is None else Snapshot.of(file)
        except DamagedFile:
            return None

    @property
    def is_mapped(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        """Unmap the file; the next search maps it again."""
        self._file = None

    def is_behind(self, latest: Point) -> bool:
        """Whether there is a file that has not everything, or is of another history."""
        try:
            return summary(self._path)[1].point != latest
        except FileNotFoundError:
            return False
        except DamagedFile:
            return True

    def is_stale(self, source: Source) -> bool:
        """Whether the file should be renewed: another epoch, many tombstones, or little room."""
        try:
            header, state = summary(self._path)
        except (FileNotFoundError, DamagedFile):
            return False
        many, little = max(LEAST_ROOM, state.count // 3), state.count // 4
        return header.epoch != source.epoch or state.removed > many or header.capacity - state.count < little

    def renew(self, source: Source, advance: Advance) -> bool:
        """Make the index anew beside the one that is used meanwhile; False when another process does that now."""
        with self._locked("renewal.lock", 0) as mine:
            if not mine:
                return False
            path = self.directory / "rows.renewed"
            try:
                file = self._made(path, source, advance)
                self._follow(source, file, file.state())  # Most changes, without holding up anybody.
                with self._locked("write.lock"):
                    self._follow(source, file, file.state())
                    self._put_in_place(file)
            finally:
                path.unlink(missing_ok=True)
        return True

    def freshen(self, source: Source) -> None:
        """Renew the index if it is stale."""
        if self.is_stale(source):
            self.renew(source, lambda done, total: None)

    def drop_if_unreadable(self, source: Source) -> bool:
        """Delete the files when the secret that their vectors are turned with was deleted. Returns whether it was."""
        if self._is_readable(source):
            return False
        with self._locked("write.lock", CHANGE_WAIT_S) as mine:
            if not mine or self._is_readable(source):
                return False
            self._file = None
            self._path.unlink(missing_ok=True)
        logger.warning("the index of tenant %s is deleted: so was its secret", source.tenant.name)
        return True

    def _is_readable(self, source: Source) -> bool:
        """False when there is a file whose secret is gone."""
        try:
            return source.knows(summary(self._path)[0].epoch)
        except (FileNotFoundError, DamagedFile):
            return True

    def clean_up(self) -> None:
        """Delete what killed processes have left, and older versions."""
        for leftover, lock in LEFTOVERS.items():
            for path in self.directory.glob(leftover):
                with self._locked(lock, 0) as mine:
                    if mine:
                        path.unlink(missing_ok=True)

    def _open(self, source: Source) -> RowFile | None:
        """The file at the path, which may have been replaced since it was mapped."""
        with self._mapping:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                self._file = None
                return None
            held = self._file
            if held is None or held.inode != (found.st_dev, found.st_ino) or held.header.identity != source.identity:
                self._file = held = RowFile.open(self._path, source.identity)
            return held

    def _followed(self, source: Source) -> Snapshot:
        """Bring the file up to date, or make a new one. The caller holds the lock."""
        held = self.snapshot(source)
        if held is not None:
            try:
                return self._follow(source, held.file, held.state)
            except CannotFollow as reason:
                logger.warning("the index of tenant %s is made anew: %s", source.tenant.name, reason)
        path = self.directory / "rows.new"
        try:
            file = self._made(path, source, lambda done, total: None)
            return self._put_in_place(file)
        finally:
            path.unlink(missing_ok=True)

    def _follow(self, source: Source, file: RowFile, state: State) -> Snapshot:
        """Apply what has changed since the file's state."""
        point, changed = changes.since(source.tenant, state.point)
        if changed is None:
            raise CannotFollow(_why(state.point, point))
        if changed == changes.NOTHING:
            return Snapshot(file, state, file.removals)
        missing = Snapshot(file, state, file.removals).missing(changed.added)
        if len(missing) > file.room(state):
            raise CannotFollow("there is no room for more")
        state = file.begin()
        state = file.remove(file.rows_of(changed.removed, state.count), state)
        for page in source.some(missing, file.header.epoch):
            state = file.append(page, state)
        state = replace(state, point=point)
        file.publish(state)
        return Snapshot(file, state, file.removals)

    def _made(self, path: Path, source: Source, advance: Advance) -> RowFile:
        """A new file with everything. The point is read first: later changes are in the log."""
        point, total = changes.latest(source.tenant), source.count()
        file = RowFile.create(path, source.identity, source.epoch, total + max(total, LEAST_ROOM))
        state = file.begin()
        for page in source.everything(file.header.epoch):
            state = file.append(page, state)
            advance(state.count, total)
        file.publish(replace(state, point=point))
        return file

    def _put_in_place(self, file: RowFile) -> Snapshot:
        file.path.replace(self._path)
        file.path = self._path
        self._file = file
        return Snapshot.of(file)

    @contextmanager
    def _locked(self, name: str, wait_s: float = math.inf) -> Iterator[bool]:
        """Hold a lock among all processes and threads; yields whether it was got in that time."""
        give_up = time.monotonic() + wait_s
        while (descriptor := self._lock(name)) is None and time.monotonic() < give_up:
            time.sleep(LOCK_TRIED_EVERY_S)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _lock(self, name: str) -> int | None:
        """The descriptor that holds the lock until it is closed. None while another holds it, and for a file that is no
        longer at its path: whoever makes that anew does not know of this one."""
        path = self.directory / name
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # The directory was deleted between the two.
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


def _why(held: Point, found: Point) -> str:
    if found.revision < held.revision:
        return "the database is behind it, so it is of another one"
    return "the log of changes does not lead from it to the database, or it is of another one"
