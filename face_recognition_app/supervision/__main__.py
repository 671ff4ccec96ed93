"""python -m supervision VERB: what service.sh does, once the environment is there."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from config.settings import REPOSITORY, SettingsError
from monitoring.worker_stats import read_live_workers
from supervision import master, starting, stopping, words
from supervision.daemons import AlreadyRuns, Daemon
from supervision.master import NoMaster
from supervision.places import Places
from supervision.processes import Gone, environment_of
from supervision.starting import NotStarted, Start, Tail
from supervision.status import State, look

OK, FAILED, STOPPED, NOT_RUNNING = 0, 1, 3, 7
"""Exit codes of init scripts, by the Linux Standard Base; 2 is wrong usage."""
MOST_WORKERS = 256
SETTLES_WITHIN_S = 120.0
KEPT = ("GUNICORN_WORKERS", "FACE_MESH_POOL_SIZE", "GUNICORN_BIND", "ENABLE_BACKGROUND_TASKS")
"""Variables that run_gunicorn.sh sets by its flags, and start_workers: they stay when the service is started anew."""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def start_both(places: Places, arguments: list[str]) -> int:
    return _start_gunicorn(places, arguments, _with_jobs())


def start_workers(places: Places, arguments: list[str]) -> int:
    return _start_gunicorn(places, arguments, {"ENABLE_BACKGROUND_TASKS": "false"})


def start_background(places: Places, arguments: list[str]) -> int:
    command = [str(REPOSITORY / "run_workers.sh"), *arguments]
    return _start(Start(places.background, command, os.environ, say), Start.background)


def restart(places: Places, arguments: list[str]) -> int:
    """Start anew what runs; both if nothing does."""
    variables = {**_with_jobs(), **_of_the_former(places.service)}
    service, background = places.service.runs, places.background.runs
    if code := stop(places, []):
        return code
    if background and not service:
        return start_background(places, arguments)
    code = _start_gunicorn(places, arguments, variables)
    return code or (start_background(places, []) if background else OK)


def rollback(places: Places, arguments: list[str]) -> int:
    environment = {**os.environ, **_of_the_former(places.service)}
    command = [str(REPOSITORY / "run_gunicorn.sh"), "--single", *arguments]
    return stop(places, []) or _start(Start(places.service, command, environment, say), Start.uvicorn)


def _with_jobs() -> dict[str, str]:
    return {"ENABLE_BACKGROUND_TASKS": os.environ.get("ENABLE_BACKGROUND_TASKS") or "true"}


def _of_the_former(daemon: Daemon) -> dict[str, str]:
    """What the running process was told by flags, as far as this one is not told anything else."""
    try:
        given = environment_of(daemon.leader) if daemon.leader else {}
    except Gone:
        return {}
    return {name: given[name] for name in KEPT if name in given and not os.environ.get(name)}


def _start_gunicorn(places: Places, arguments: list[str], variables: Mapping[str, str]) -> int:
    command = [str(REPOSITORY / "run_gunicorn.sh"), *arguments]
    return _start(Start(places.service, command, {**os.environ, **variables}, say), Start.gunicorn)


def _start(start: Start, until_ready: Callable[[Start], None]) -> int:
    daemon, began = start.daemon, time.monotonic()
    try:
        until_ready(start)
    except AlreadyRuns:
        say(f"the {daemon.name} is already running (process {daemon.pid})")
        return OK
    except (NotStarted, SettingsError, Gone) as error:
        say(str(error))
        return FAILED
    took_s = time.monotonic() - began
    say(f"the {daemon.name} is ready after {took_s:.1f} s (process {daemon.pid}), its log is {daemon.log}")
    return OK


def stop(places: Places, _: list[str]) -> int:
    if not places.service.runs and _answers(places):
        say("the service runs and was not started by service.sh: end it where it was started (systemctl stop)")
        return FAILED
    ended = [_stop(places.service, [places.control_socket]), _stop(places.background, [])]
    if not any(ended):
        say("the service is not running")
    return OK


def _stop(daemon: Daemon, left_behind: list[Path]) -> bool:
    began = time.monotonic()
    ran = stopping.stop(daemon, left_behind, say)
    if ran:
        say(f"the {daemon.name} has ended after {time.monotonic() - began:.1f} s")
    return ran


def _answers(places: Places) -> bool:
    try:
        master.ask(places.control_socket)
    except NoMaster:
        return False
    return True


def reload(places: Places, _: list[str]) -> int:
    """Replace every worker; those that serve go on until the new ones are ready."""
    before = master.ask(places.control_socket)
    # The database of a new release, by what the service was started with, before it is served.
    prepare = [sys.executable, "manage.py", "prepare"]
    if subprocess.run(prepare, env=environment_of(before.pid), check=False).returncode:
        say("nothing was reloaded: the database could not be prepared")
        return FAILED
    log = Tail(places.service.log)
    os.kill(before.pid, signal.SIGHUP)
    return _settle(places, before.wanted, set(before.workers), "reloaded", log)


def scale(places: Places, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="service.sh scale")
    parser.add_argument("number", type=int, metavar="N", help=f"workers, 1 to {MOST_WORKERS}")
    number = parser.parse_args(arguments).number
    if not 1 <= number <= MOST_WORKERS:
        parser.error(f"N is from 1 to {MOST_WORKERS}")
    log = Tail(places.service.log)
    before = master.scale(places.control_socket, number)
    return _settle(places, number, set(), f"scaled from {before} to {number} workers", log)


def _settle(places: Places, number: int, old: set[int], done: str, log: Tail) -> int:
    """Wait until this number of workers serve that are not `old`."""
    until, told = time.monotonic() + SETTLES_WITHIN_S, -1
    while True:
        serving = len({worker.pid for worker in read_live_workers(places.run_dir)} - old)
        if serving != told:
            say(f"      {min(serving, number)} of {number} workers are ready")
            told = serving
        if serving >= number:  # Those that are too many, or old, serve their sessions to the end.
            say(done)
            return OK
        if time.monotonic() > until:
            say(f"not all workers were ready after {SETTLES_WITHIN_S:.0f} s; {log.end()}")
            return FAILED
        time.sleep(starting.LOOKS_EVERY_S)


def status(places: Places, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="service.sh status")
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args(arguments).json
    found = look(places)
    say(words.as_json(found) if as_json else words.as_text(found))
    if found.service is State.ENDING:
        return FAILED
    return OK if found.runs else STOPPED


def logs(places: Places, arguments: list[str]) -> int:
    """`tail` with these arguments, of the logs that there are."""
    files = [str(daemon.log) for daemon in (places.service, places.background) if daemon.log.exists()]
    if not files:
        say(f"there is no log yet; it will be {places.service.log}")
        return FAILED
    try:
        return subprocess.run(["tail", *(arguments or ["-n", "100", "-F"]), *files], check=False).returncode
    except KeyboardInterrupt:
        return OK


VERBS: dict[str, Callable[[Places, list[str]], int]] = {
    "start": start_both,
    "start_workers": start_workers,
    "start_background": start_background,
    "stop": stop,
    "restart": restart,
    "reload": reload,
    "scale": scale,
    "status": status,
    "logs": logs,
    "rollback": rollback,
}


def main() -> int:
    verb, arguments = sys.argv[1], sys.argv[2:]
    try:
        places = Places.of()
    except SettingsError as error:
        say(f"configuration error: {error}")
        return FAILED
    try:
        return VERBS[verb](places, arguments)
    except NoMaster:
        if places.service.runs:
            say(f"there is no master that could {verb}: it starts, has died, or the service was rolled back")
            return FAILED
        say("the service is not running")
        return NOT_RUNNING


if __name__ == "__main__":
    sys.exit(main())
