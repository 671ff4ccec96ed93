"""The workers beside this one, and which of them a new socket is for.

The system deals connections out by a hash of their addresses. That is even for hundreds and not for ten, and a worker
with five of seven busy sessions drops frames while its sibling has time. So a worker that has more open sockets than a
sibling hands a new one over, with the request that opens it, before anything is answered.
"""

from __future__ import annotations

import array
import asyncio
import logging
import mmap
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

_NUMBER = struct.Struct("<q")
_MAX_MESSAGE = 256 * 1024
_RECEIVE_AT_ONCE = 32
FOUND_AGAIN_S = 1.0
"""So long a worker that has just started may go unnoticed."""
SILENT_S = 1.0
"""A sibling that has not taken a socket for so long is given no more of them."""
FORGIVEN_S = 10.0
"""So long, for what it took may have been told to nobody."""
TOLD_AGAIN_S = 0.05
JOINS_AGAIN_S = 5.0
_TOO_MANY = 1 << 40
"""Sockets, as a worker says that wants no more."""
_SLACK = 16
"""One in so many sockets more than a sibling has is even enough; handing over has its cost too."""


@dataclass(slots=True)
class _Sibling:
    path: Path
    count: mmap.mmap
    untaken: deque[float] = field(default_factory=deque)
    """When each socket was sent that it has not taken yet."""

    @property
    def sockets(self) -> int:
        """Its own and those on the way to it."""
        (count,) = _NUMBER.unpack(self.count[: _NUMBER.size])
        return int(count) + len(self.untaken)

    def forgive(self, now: float) -> None:
        while self.untaken and now - self.untaken[0] > FORGIVEN_S:
            self.untaken.popleft()

    def is_silent(self, now: float) -> bool:
        return bool(self.untaken) and now - self.untaken[0] > SILENT_S


class Siblings:
    """This worker among the others. Used on the event loop only.

    Each worker has two files in the directory: how many sockets it has, written by itself alone, and a socket of
    datagrams, on which it is sent connections and told that those it sent were taken.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._siblings: dict[int, _Sibling] = {}
        self._looked_at = float("-inf")
        self.open = 0
        """Sockets of this worker."""
        self._busy_at = time.monotonic()
        self._retired = False
        self._count: mmap.mmap | None = None
        self._socket: socket.socket | None = None
        self._directory = -1
        self._new_protocol: Callable[[], asyncio.Protocol] | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._joins_again: asyncio.TimerHandle | None = None

    def join(self, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Be found from now on; what is handed over gets a new protocol, which is fed the request.

        A worker whose files the disk does not take serves what comes to it, and tries again to be found.
        """
        try:
            self._join(new_protocol)
        except OSError as error:
            logger.error("this worker shares its sockets with no other for now: %s", error)
            self._forget_files()
            self._joins_again = asyncio.get_running_loop().call_later(JOINS_AGAIN_S, self.join, new_protocol)

    def _join(self, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        path = self._run_dir / "siblings"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._new_protocol = new_protocol
        self._remove(os.getpid())
        self._count = _map_count(self._path(f"{os.getpid()}.open"), os.O_RDWR | os.O_CREAT)
        self._publish()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._path(f"{os.getpid()}")))
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def _forget_files(self) -> None:
        self._count = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def leave(self) -> None:
        """Be sent nothing more. What is on its way is closed, as it would be if it had come a moment later."""
        if self._joins_again is not None:
            self._joins_again.cancel()
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._remove(os.getpid())
        self._socket.close()
        self._socket = None

    @property
    def quiet_s(self) -> float | None:
        """For how long no socket has been open, and none on its way; None when one is."""
        return None if self.open or self._arriving else time.monotonic() - self._busy_at

    def opened(self) -> None:
        self.open += 1
        self._publish()

    def closed(self) -> None:
        self.open -= 1
        self._busy_at = time.monotonic()
        self._publish()

    def retire(self) -> None:
        """Be sent nothing more, and hand over whatever a sibling can take."""
        self._retired = True
        self._busy_at = time.monotonic()
        self._publish()

    def hand_over(self, connection: int, request: bytes) -> bool:
        """Send an open socket's descriptor to a worker that has fewer; whether it went.

        Then it is the other's, and this worker closes its own copy without a word.
        """
        if self._socket is None:
            return False
        now = asyncio.get_running_loop().time()
        pid = self._emptier(now)
        if pid is None:
            return False
        sibling = self._siblings[pid]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection]))]
        try:
            self._socket.sendmsg([_NUMBER.pack(os.getpid()), request], rights, 0, str(sibling.path))
        except (ConnectionRefusedError, FileNotFoundError):
            self._forget(pid)
            return False
        except OSError:  # Its queue is full, or the request is too long for a datagram.
            return False
        sibling.untaken.append(now)
        return True

    def _emptier(self, now: float) -> int | None:
        """The sibling with the fewest sockets, where this worker has more than it or has retired."""
        if now - self._looked_at > FOUND_AGAIN_S:
            self._looked_at = now
            self._look()
        for sibling in self._siblings.values():
            sibling.forgive(now)
        able = [pid for pid, sibling in self._siblings.items() if not sibling.is_silent(now)]
        least = min(able, key=lambda pid: self._siblings[pid].sockets, default=None)
        if least is None:
            return None
        mine = _TOO_MANY if self._retired else self.open - self.open // _SLACK
        return least if self._siblings[least].sockets < mine else None

    def _look(self) -> None:
        """Get to know workers that have come, and forget those that left."""
        there = {int(path.name) for path in self._path(".").iterdir() if path.name.isdigit()} - {os.getpid()}
        for pid in self._siblings.keys() - there:
            del self._siblings[pid]
        for pid in there - self._siblings.keys():
            with suppress(OSError, ValueError):
                self._siblings[pid] = _Sibling(self._path(f"{pid}"), _map_count(self._path(f"{pid}.open"), os.O_RDWR))

    def _forget(self, pid: int) -> None:
        """A worker that died did not remove its files."""
        self._siblings.pop(pid, None)
        self._remove(pid)

    def _remove(self, pid: int) -> None:
        for name in (f"{pid}", f"{pid}.open"):
            with suppress(FileNotFoundError):
                self._path(name).unlink()

    def _path(self, name: str) -> Path:
        """By way of the open directory: a socket's own path may be a hundred letters long and no more."""
        return Path(f"/proc/self/fd/{self._directory}", name)

    def _publish(self) -> None:
        if self._count is not None:
            self._count[: _NUMBER.size] = _NUMBER.pack(_TOO_MANY if self._retired else self.open)

    def _receive(self) -> None:
        for _ in range(_RECEIVE_AT_ONCE):
            if self._socket is None:
                return
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, _MAX_MESSAGE, 1)
            except OSError:
                return
            (sender,) = _NUMBER.unpack_from(data)
            if descriptors:
                self._take(sender, socket.socket(fileno=descriptors[0]), data[_NUMBER.size :])
            elif sender in self._siblings and self._siblings[sender].untaken:
                self._siblings[sender].untaken.popleft()

    def _take(self, sender: int, connection: socket.socket, request: bytes) -> None:
        arriving = asyncio.ensure_future(self._serve(sender, connection, request))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)

    async def _serve(self, sender: int, connection: socket.socket, request: bytes) -> None:
        assert self._new_protocol is not None
        connection.setblocking(False)
        try:
            _, protocol = await asyncio.get_running_loop().connect_accepted_socket(self._new_protocol, connection)
            protocol.data_received(request)
        except OSError:  # The client has gone meanwhile.
            connection.close()
        finally:
            self._tell_taken(sender)

    def _tell_taken(self, sender: int) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(_NUMBER.pack(os.getpid()), str(self._path(f"{sender}")))
        except BlockingIOError:  # Many are told at once, and its queue is short.
            asyncio.get_running_loop().call_later(TOLD_AGAIN_S, self._tell_taken, sender)
        except OSError:  # It has ended; nobody counts any more.
            pass


def _map_count(path: Path, flags: int) -> mmap.mmap:
    descriptor = os.open(path, flags, 0o600)
    try:
        if flags & os.O_CREAT:
            # A sparse page for which the disk has no room would end whoever writes to it with SIGBUS.
            os.posix_fallocate(descriptor, 0, mmap.PAGESIZE)
        return mmap.mmap(descriptor, _NUMBER.size)
    finally:
        os.close(descriptor)
