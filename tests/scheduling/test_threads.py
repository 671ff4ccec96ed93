"""A thread pool that cannot start all its threads fails, and leaves none waiting."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from scheduling.threads import StartedThreads


def test_all_threads_are_there_before_the_first_call() -> None:
    with StartedThreads(3, "started"):
        assert sum(thread.name.startswith("started") for thread in threading.enumerate()) == 3
    assert not any(thread.name.startswith("started") for thread in threading.enumerate())


def test_a_thread_that_cannot_be_started_ends_the_started_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def only_two(thread: threading.Thread, *arguments: Any) -> None:
        if thread.name.endswith("_2"):
            raise RuntimeError("can't start new thread")
        start(thread, *arguments)

    monkeypatch.setattr(threading.Thread, "start", only_two)
    with pytest.raises(RuntimeError, match="can't start"):
        StartedThreads(3, "refused")
    started = [thread for thread in threading.enumerate() if thread.name.startswith("refused")]
    for thread in started:
        thread.join(10)
    assert not any(thread.is_alive() for thread in started)
