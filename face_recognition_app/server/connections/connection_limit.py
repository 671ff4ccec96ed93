"""The limit of a worker's HTTP connections: which of them is closed to make room for a new one."""

from __future__ import annotations

from typing import Protocol


class Connection(Protocol):
    def evict(self) -> None:
        """Close without an answer."""


class ConnectionLimit:
    """Counts connections by their state; in each group the one that has been there longest is first.

    Connections that are idle between two requests are closed first, then those whose request head is incomplete: an
    honest head takes milliseconds, so the oldest of them only holds its place. One with a request in work never is.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._idle: dict[Connection, None] = {}
        self._arriving: dict[Connection, None] = {}
        self._working: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._arriving) + len(self._working)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection, if need be in place of an evicted one; False when all others are working."""
        if len(self) >= self._max_connections:
            victim = next(iter(self._idle or self._arriving), None)
            if victim is None:
                return False
            self.remove(victim)
            victim.evict()
        self._arriving[connection] = None
        return True

    def head_began(self, connection: Connection) -> None:
        """Mark a connection whose next request has begun to arrive."""
        self._move(connection, self._arriving)

    def head_complete(self, connection: Connection) -> None:
        """Mark a connection with a request in work."""
        self._move(connection, self._working)

    def answered(self, connection: Connection) -> None:
        """Mark a connection as idle."""
        self._move(connection, self._idle)

    def remove(self, connection: Connection) -> None:
        """Count the connection no more. Without effect on one that is not counted."""
        for group in (self._working, self._idle, self._arriving):
            group.pop(connection, None)

    def _move(self, connection: Connection, group: dict[Connection, None]) -> None:
        self.remove(connection)
        group[connection] = None
