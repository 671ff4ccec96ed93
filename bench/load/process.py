"""Runs load clients' event loop in another process, so that measuring does not slow what it measures."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import uvloop

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Tell = Callable[[object], None]
"""Sends a note to the parent process."""

_END_TIMEOUT_S = 10.0


class Job(Protocol[T_co]):
    """Work for the load process: picklable; `run` is called on its event loop."""

    async def run(self, tell: Tell) -> T_co: ...


class LoadFailed(Exception):
    """The job raised, or its process died; the message has the cause."""


@dataclass(frozen=True, slots=True)
class _Note:
    content: object


@dataclass(frozen=True, slots=True)
class _Failure:
    trace: str


@dataclass(frozen=True, slots=True)
class _Result:
    content: Any


class LoadProcess:
    """A process that runs one job after the other under uvloop. A context manager; leaving it ends the process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()  # This ends an idle process; a running job is not awaited.
        if kind is not None:
            self._process.kill()
        self._process.join(_END_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def run(self, job: Job[T], on_note: Tell = lambda _: None) -> T:
        """Start a job and wait for its result. Raises LoadFailed."""
        self.start(job)
        return self.result(job, on_note)

    def start(self, job: Job[object]) -> None:
        self._pipe.send(job)

    def wait_for_note(self) -> object:
        """The next note of the job. Raises LoadFailed, also when the job ends without one."""
        message = self._receive()
        if not isinstance(message, _Note):
            raise LoadFailed(f"the job ended early, with {message}")
        return message.content

    def result(self, job: Job[T], on_note: Tell = lambda _: None) -> T:
        """Wait for the result of the started `job`; its notes go to `on_note`. Raises LoadFailed."""
        while isinstance(message := self._receive(), _Note):
            on_note(message.content)
        assert isinstance(message, _Result)
        outcome: T = message.content
        return outcome

    def _receive(self) -> _Note | _Result:
        try:
            message: _Note | _Result | _Failure = self._pipe.recv()
        except EOFError:
            self._process.join(_END_TIMEOUT_S)
            raise LoadFailed(f"the load process died with {self._process.exitcode}") from None
        if isinstance(message, _Failure):
            raise LoadFailed(message.trace)
        return message


def _serve(pipe: Connection[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process itself.
    raise_file_limit()
    while True:
        try:
            job: Job[object] = pipe.recv()
        except EOFError:
            return
        try:
            answer: _Result | _Failure = _Result(uvloop.run(job.run(lambda note: pipe.send(_Note(note)))))
        except Exception:
            answer = _Failure(traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:  # The parent has ended.
            return


def raise_file_limit() -> int:
    """Raise this process's limit of open files to the hard limit; returns the limit. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def end_on_sigterm() -> None:
    """Make SIGTERM unwind the stack as Ctrl-C does, so that the started service is ended, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
