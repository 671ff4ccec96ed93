"""The connections of one worker that are no sockets, and which of them goes when there is no place for another."""

from __future__ import annotations

from typing import Protocol


class Connection(Protocol):
    def evict(self) -> None:
        """Be closed without a word."""


class Door:
    """Counts connections by what they do. In each group the one that has been there longest is first.

    Idle ones between two requests are closed first, then those whose request head is not complete: an honest head takes
    milliseconds, so the oldest of them is a client that only holds its place. One that is at work is never closed.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._idle: dict[Connection, None] = {}
        self._arriving: dict[Connection, None] = {}
        self._working: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._arriving) + len(self._working)

    def admit(self, connection: Connection) -> bool:
        """Take in a new connection, in another's place if need be; False when all others are at work."""
        if len(self) >= self._max_connections:
            victim = next(iter(self._idle or self._arriving), None)
            if victim is None:
                return False
            self.leave(victim)
            victim.evict()
        self._arriving[connection] = None
        return True

    def arrives(self, connection: Connection) -> None:
        """The head of another request has begun."""
        self._move(connection, self._arriving)

    def works(self, connection: Connection) -> None:
        """The head is complete."""
        self._move(connection, self._working)

    def rests(self, connection: Connection) -> None:
        """The request is answered."""
        self._move(connection, self._idle)

    def leave(self, connection: Connection) -> None:
        """Be counted no more; a connection that is not counted may leave again."""
        for group in (self._working, self._idle, self._arriving):
            group.pop(connection, None)

    def _move(self, connection: Connection, group: dict[Connection, None]) -> None:
        self.leave(connection)
        group[connection] = None
