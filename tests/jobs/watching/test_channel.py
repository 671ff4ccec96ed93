from __future__ import annotations

import os

from jobs.watching.channel import Channel, Told
from jobs.watching.outcomes import RunEnded
from vocabulary.jobs import RunOutcome

ENDED = Told(7, False, 2.5, RunEnded("noop", "high", RunOutcome.RETRIED, 1.5))


def test_what_forked_processes_tell_arrives_whole() -> None:
    channel = Channel()
    processes = []
    for _ in range(4):
        process = os.fork()
        if process == 0:
            for _ in range(500):
                channel.tell(ENDED)
            os._exit(0)
        processes.append(process)
    heard = 0
    while heard < 2_000:
        found = list(channel.heard())
        assert all(one == ENDED for one in found)
        heard += len(found)
    for process in processes:
        os.waitpid(process, 0)
    assert list(channel.heard()) == []


def test_a_full_pipe_holds_nobody_up() -> None:
    channel = Channel()
    for _ in range(30_000):
        channel.tell(ENDED)
    found = list(channel.heard())
    assert 0 < len(found) < 30_000
    channel.tell(Told(8, True, 3.0))
    assert list(channel.heard()) == [Told(8, True, 3.0)]
