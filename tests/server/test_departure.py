"""Who may go when, with every worker of a master in one process."""

from __future__ import annotations

import os
import signal

import pytest

from server.departure import Departure
from server.roster import Request, Roster, Slot, Stage

WORKERS = 2


class Crew:
    """What gunicorn_config's hooks do, with workers that only depart."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.roster.wanted = WORKERS
        self.departures: dict[int, Departure] = {}

    def fork(self, *, ready: bool = True) -> Slot:
        slot = self.roster.enter()
        self.departures[slot.number] = Departure(slot, os.getppid(), drain_s=60)
        if ready:
            self.departures[slot.number].started()
        return slot

    def is_ready(self, slot: Slot) -> None:
        self.departures[slot.number].started()

    def tell(self, *slots: Slot) -> None:
        for slot in slots:
            self.departures[slot.number].tell()

    def tick(self) -> None:
        for departure in self.departures.values():
            departure.consider()

    def stages(self) -> list[Stage]:
        return [slot.stage for slot in self.roster.slots()]


@pytest.fixture
def crew() -> Crew:
    return Crew()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Signals that a worker sends its master."""
    sent: list[int] = []
    monkeypatch.setattr("server.departure.os.kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr("server.departure.ASK_AFTER_S", -1.0)
    return sent


def test_a_reload_keeps_the_old_workers_until_as_many_new_ones_are_ready(crew: Crew) -> None:
    old = [crew.fork(), crew.fork()]
    new = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.tell(*old)
    crew.tick()
    crew.is_ready(new[0])
    crew.tick()
    assert [slot.stage for slot in old] == [Stage.LEAVING, Stage.LEAVING]
    crew.is_ready(new[1])
    crew.tick()
    assert [slot.stage for slot in old] == [Stage.DRAINING, Stage.DRAINING]


def test_a_second_reload_during_the_first_leaves_somebody_who_serves(crew: Crew, asked: list[int]) -> None:
    old = [crew.fork(), crew.fork()]
    second = [crew.fork(ready=False), crew.fork(ready=False)]
    third = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.tell(*old, *second)
    crew.tick()
    for slot in second:  # Told to go before they had started.
        crew.is_ready(slot)
    crew.tick()
    assert [slot.stage for slot in old + second] == [Stage.LEAVING] * 4
    for slot in third:
        crew.is_ready(slot)
    crew.tick()
    assert [slot.stage for slot in old + second] == [Stage.DRAINING] * 4
    assert not asked, "new workers were on their way all the time"


def test_one_worker_fewer_goes_at_once(crew: Crew) -> None:
    first = crew.fork()
    crew.fork()
    crew.roster.wanted = 1
    crew.tell(first)
    crew.tick()
    assert crew.stages() == [Stage.DRAINING, Stage.READY]


def test_nobody_waits_for_a_replacement_when_the_service_stops(crew: Crew) -> None:
    crew.fork()
    crew.fork()
    crew.roster.stop()
    crew.tick()
    assert crew.stages() == [Stage.DRAINING, Stage.DRAINING]


def test_who_has_lost_its_master_goes(crew: Crew) -> None:
    slot = crew.roster.enter()
    departure = Departure(slot, os.getppid() + 1, drain_s=60)
    departure.started()
    departure.consider()
    assert slot.stage is Stage.DRAINING


def test_one_that_goes_alone_asks_for_a_replacement_once_and_the_number_stays(crew: Crew, asked: list[int]) -> None:
    first = crew.fork()
    crew.fork()
    crew.tell(first)
    for _ in range(3):
        crew.tick()
    assert asked == [signal.SIGTTIN]
    crew.roster.wanted += 1  # As the master does on the signal.
    crew.roster.grant()
    third = crew.fork(ready=False)
    crew.tick()
    assert first.stage is Stage.LEAVING
    crew.is_ready(third)
    crew.tick()
    assert (first.stage, first.request) == (Stage.DRAINING, Request.GRANTED)


def test_a_reload_takes_back_what_was_granted(crew: Crew, asked: list[int]) -> None:
    first = crew.fork()
    crew.tell(first)
    crew.tick()
    crew.roster.grant()
    crew.roster.forget_grants()
    assert first.request is Request.NONE


def test_the_last_that_serves_stays_when_the_new_ones_cannot_start(crew: Crew, asked: list[int]) -> None:
    old = [crew.fork(), crew.fork()]
    new = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.tell(*old)
    crew.tick()
    for slot in new:
        del crew.departures[slot.number]
        crew.roster.leave(slot)
    crew.tick()
    assert crew.stages() == [Stage.LEAVING, Stage.LEAVING]
    assert crew.roster.failed_starts == 2
    assert signal.SIGTTIN in asked


def test_a_slot_is_used_again_and_is_empty_then(crew: Crew) -> None:
    first = crew.fork()
    first.sockets = 7
    crew.fork()
    crew.roster.leave(first)
    again = crew.roster.enter()
    assert (again.number, again.sockets, again.stage) == (first.number, 0, Stage.STARTING)


def test_the_fewest_elsewhere_are_of_those_that_take_connections(crew: Crew) -> None:
    mine, other = crew.fork(), crew.fork()
    starting = crew.fork(ready=False)
    mine.sockets, other.sockets, starting.sockets = 5, 3, 0
    assert mine.fewest_elsewhere == 3
    other.stage = Stage.DRAINING
    assert mine.fewest_elsewhere is None
