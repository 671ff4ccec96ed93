"""When each worker may end, with all workers of a master in one process."""

from __future__ import annotations

import os
import signal

import pytest

from server.graceful_exit import GracefulExit
from server.roster import Load, Request, Roster, Slot, Stage

WORKERS = 2


class Crew:
    """Does what gunicorn_config's hooks do, with workers that are nothing but a GracefulExit."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.roster.wanted = WORKERS
        self.exits: dict[int, GracefulExit] = {}

    def fork(self, *, ready: bool = True) -> Slot:
        slot = self.roster.enter()
        self.exits[slot.number] = GracefulExit(slot, os.getppid(), drain_s=60)
        if ready:
            self.exits[slot.number].started()
        return slot

    def make_ready(self, slot: Slot) -> None:
        self.exits[slot.number].started()

    def ask_to_leave(self, *slots: Slot) -> None:
        for slot in slots:
            self.exits[slot.number].request()

    def tick(self) -> None:
        for graceful_exit in self.exits.values():
            graceful_exit.advance()

    def stages(self) -> list[Stage]:
        return [slot.stage for slot in self.roster.slots()]


@pytest.fixture
def crew() -> Crew:
    return Crew()


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Signals that workers send their master."""
    sent: list[int] = []
    monkeypatch.setattr("server.graceful_exit.os.kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr("server.graceful_exit.REPLACEMENT_DELAY_S", -1.0)
    return sent


def test_a_reload_keeps_the_old_workers_until_as_many_new_ones_are_ready(crew: Crew) -> None:
    old = [crew.fork(), crew.fork()]
    new = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.ask_to_leave(*old)
    crew.tick()
    crew.make_ready(new[0])
    crew.tick()
    assert [slot.stage for slot in old] == [Stage.LEAVING, Stage.LEAVING]
    crew.make_ready(new[1])
    crew.tick()
    assert [slot.stage for slot in old] == [Stage.DRAINING, Stage.DRAINING]


def test_workers_go_on_serving_through_a_second_reload_during_the_first(crew: Crew, requests: list[int]) -> None:
    old = [crew.fork(), crew.fork()]
    second = [crew.fork(ready=False), crew.fork(ready=False)]
    third = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.ask_to_leave(*old, *second)
    crew.tick()
    for slot in second:  # Asked to leave before they had started.
        crew.make_ready(slot)
    crew.tick()
    assert [slot.stage for slot in old + second] == [Stage.DRAINING] * 2 + [Stage.LEAVING] * 2, "as many as are wanted"
    for slot in third:
        crew.make_ready(slot)
    crew.tick()
    assert [slot.stage for slot in old + second] == [Stage.DRAINING] * 4
    assert not requests, "new workers were on their way all the time"


def test_reloads_that_come_faster_than_workers_start_leave_no_more_serving_than_are_wanted(
    crew: Crew, requests: list[int]
) -> None:
    """Slots are used again, so that a younger worker may have a lower number."""
    generations = [[crew.fork(), crew.fork()]]
    for _ in range(6):
        crew.ask_to_leave(*generations[-1])
        generations.append([crew.fork(ready=False), crew.fork(ready=False)])
        if len(generations) > 2:
            for slot in generations[-2]:
                crew.make_ready(slot)
        crew.tick()
        stages = crew.stages()
        assert stages.count(Stage.LEAVING) == WORKERS
        for slot in [slot for slot in crew.roster.slots() if slot.stage is Stage.DRAINING]:
            del crew.exits[slot.number]
            crew.roster.leave(slot)
    assert [slot.stage for slot in generations[-2]] == [Stage.LEAVING] * 2, "the latest that can serve"
    assert not requests


def test_a_worker_too_many_drains_at_once(crew: Crew) -> None:
    first = crew.fork()
    crew.fork()
    crew.roster.wanted = 1
    crew.ask_to_leave(first)
    crew.tick()
    assert crew.stages() == [Stage.DRAINING, Stage.READY]


def test_workers_do_not_wait_for_replacements_when_the_service_stops(crew: Crew) -> None:
    crew.fork()
    crew.fork()
    crew.roster.stop()
    crew.tick()
    assert crew.stages() == [Stage.DRAINING, Stage.DRAINING]


def test_a_worker_whose_master_died_drains(crew: Crew) -> None:
    slot = crew.roster.enter()
    graceful_exit = GracefulExit(slot, os.getppid() + 1, drain_s=60)
    graceful_exit.started()
    graceful_exit.advance()
    assert slot.stage is Stage.DRAINING


def test_a_worker_that_leaves_alone_requests_one_replacement_and_waits_for_it(crew: Crew, requests: list[int]) -> None:
    first = crew.fork()
    crew.fork()
    crew.ask_to_leave(first)
    for _ in range(3):
        crew.tick()
    assert requests == [signal.SIGTTIN]
    crew.roster.wanted += 1  # As the master does on the signal.
    crew.roster.grant()
    third = crew.fork(ready=False)
    crew.tick()
    assert first.stage is Stage.LEAVING
    crew.make_ready(third)
    crew.tick()
    assert (first.stage, first.request) == (Stage.DRAINING, Request.GRANTED)


def test_a_reload_forgets_granted_replacements(crew: Crew, requests: list[int]) -> None:
    first = crew.fork()
    crew.ask_to_leave(first)
    crew.tick()
    crew.roster.grant()
    crew.roster.forget_grants()
    assert first.request is Request.NONE


def test_old_workers_stay_when_the_new_ones_cannot_start(crew: Crew, requests: list[int]) -> None:
    old = [crew.fork(), crew.fork()]
    new = [crew.fork(ready=False), crew.fork(ready=False)]
    crew.ask_to_leave(*old)
    crew.tick()
    for slot in new:
        del crew.exits[slot.number]
        crew.roster.leave(slot)
    crew.tick()
    assert crew.stages() == [Stage.LEAVING, Stage.LEAVING]
    assert crew.roster.failed_starts == 2
    assert signal.SIGTTIN in requests


def test_a_slot_that_is_used_again_is_empty(crew: Crew) -> None:
    first = crew.fork()
    first.load = Load(7, 2)
    crew.fork()
    crew.roster.leave(first)
    again = crew.roster.enter()
    assert (again.number, again.load, again.stage) == (first.number, Load(0), Stage.STARTING)


def test_the_fewest_sockets_elsewhere_are_those_of_workers_that_accept_connections(crew: Crew) -> None:
    mine, other = crew.fork(), crew.fork()
    starting = crew.fork(ready=False)
    mine.load, other.load, starting.load = Load(5), Load(3, 8), Load(0)
    assert mine.least_elsewhere == Load(3, 8)
    other.stage = Stage.DRAINING
    assert mine.least_elsewhere is None
