from __future__ import annotations

from server.connections.connection_limit import ConnectionLimit


class FakeConnection:
    def __init__(self) -> None:
        self.evicted = False

    def evict(self) -> None:
        self.evicted = True


def admit_all(limit: ConnectionLimit, count: int) -> list[FakeConnection]:
    connections = [FakeConnection() for _ in range(count)]
    for connection in connections:
        assert limit.admit(connection)
    return connections


def evicted(connections: list[FakeConnection]) -> list[bool]:
    return [connection.evicted for connection in connections]


def test_the_connection_that_is_idle_longest_is_evicted_first() -> None:
    limit = ConnectionLimit(3)
    connections = admit_all(limit, 3)
    for connection in (connections[2], connections[1]):
        limit.head_complete(connection)
        limit.answered(connection)
    admit_all(limit, 1)
    assert evicted(connections) == [False, False, True]
    assert len(limit) == 3


def test_without_idle_connections_the_oldest_incomplete_head_is_evicted() -> None:
    limit = ConnectionLimit(3)
    connections = admit_all(limit, 3)
    limit.head_complete(connections[0])
    admit_all(limit, 1)
    assert evicted(connections) == [False, True, False]


def test_a_connection_that_sends_another_head_is_the_newest_of_these() -> None:
    limit = ConnectionLimit(2)
    connections = admit_all(limit, 2)
    limit.head_complete(connections[0])
    limit.answered(connections[0])
    limit.head_began(connections[0])
    admit_all(limit, 1)
    assert evicted(connections) == [False, True]


def test_a_new_connection_is_refused_when_all_have_requests_in_work() -> None:
    limit = ConnectionLimit(2)
    connections = admit_all(limit, 2)
    for connection in connections:
        limit.head_complete(connection)
    assert not limit.admit(FakeConnection())
    assert evicted(connections) == [False, False]
    assert len(limit) == 2


def test_a_removed_connection_leaves_room_and_may_be_removed_again() -> None:
    limit = ConnectionLimit(1)
    (first,) = admit_all(limit, 1)
    limit.head_complete(first)
    limit.remove(first)
    limit.remove(first)
    assert len(limit) == 0
    assert limit.admit(FakeConnection())
