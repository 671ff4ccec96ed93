"""Carries out Dockerfile.production in an empty Debian, and tries what it made.

    python -m tools.replay [--base DIRECTORY] [--keep DIRECTORY]

Needs root, debootstrap, curl, iproute2 and util-linux, a network for the build, and 4 GB in TMPDIR. It is no container
engine: layers, the registry and cgroups are not there. What is tried runs without a network, as the image's user, on a
root file system that is read-only: the database is made, the service starts, is healthy, enrols a face and finds it
again, and ends on SIGTERM; so does a job worker.
  --base   a directory with the base system, which is made there if it is missing and used again by the next run
  --keep   where the image is left; otherwise it is removed
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tools.replay.build import Builder, make_base
from tools.replay.container import Container, container
from tools.replay.dockerfile import Context, Stage, parse

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "Dockerfile.production"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 40
"""What deploy/ gives the service: FACE_DRAIN_S, 25 seconds, and the wait before it."""
ENVIRONMENT = {"FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7", "GUNICORN_WORKERS": "1"}
WORKER = {"JOB_METRICS_BIND": "0.0.0.0:9100"}
SCRATCH = ("/opt", "/etc", "/var/tmp")


class Failed(Exception):
    pass


def say(text: str) -> None:
    print(f"replay: {text}", flush=True)


def try_image(image: Path, stage: Stage, directory: Path) -> None:
    data, log = directory / "data", directory / "log"
    data.mkdir(mode=0o700)
    owner = int(stage.last("USER").value.partition(":")[0])
    os.chown(data, owner, owner)
    try:
        with container(image, stage, data, log, ["manage.py", "prepare"], ENVIRONMENT) as made:
            _expect("prepare ends with 0", made.wait(START_TIMEOUT_S) == 0)
        with container(image, stage, data, log, environment=ENVIRONMENT) as service:
            _try_service(service, stage, owner)
        with container(image, stage, data, log, ["manage.py", "jobs", "worker"], {**ENVIRONMENT, **WORKER}) as worker:
            _wait_for(worker, "http://127.0.0.1:9100/health")
            _ends(worker, "the job worker")
    except Failed:
        print(log.read_text()[-5000:], file=sys.stderr)
        raise


def _try_service(service: Container, stage: Stage, owner: int) -> None:
    _wait_for(service, "http://127.0.0.1:8003/api/ready/")
    say(f"ready: {_get(service, 'http://127.0.0.1:8003/api/ready/')}")
    check = service.execute(stage.last("HEALTHCHECK").words())
    _expect("the health check ends with 0", check.returncode == 0)
    _expect("another host is not served but for probes", _get(service, "http://127.0.0.1:8003/api/health/", "10.1.2.3"))
    status = service.execute(["cat", "/proc/1/status"]).stdout
    _expect("process 1 is the image's user", f"Uid:\t{owner}\t{owner}\t{owner}\t{owner}" in status)
    _expect("it has no capability", "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000" in status)
    for place in SCRATCH:
        _expect(f"{place} cannot be written", service.execute(["touch", f"{place}/x"]).returncode != 0)
    made = service.execute(["python", "manage.py", "create_tenant", "smoke", "--json"])
    _expect("a tenant is made", made.returncode == 0)
    key = json.loads(made.stdout)["api_key"]
    client = [sys.executable, "-m", "tools.replay.smoke", "http://127.0.0.1:8003", key]
    done = subprocess.run(service.in_its_network(client), cwd=REPOSITORY, check=False)
    _expect("a face is enrolled and found", done.returncode == 0)
    _ends(service, "the service")


def _ends(running: Container, name: str) -> None:
    code, took_s = running.stop(STOP_TIMEOUT_S)
    _expect(f"{name} ends with 0 on SIGTERM, after {took_s:.1f} s", code == 0)


def _wait_for(running: Container, url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _get(running, url):
        if time.monotonic() > deadline or not running.is_alive:
            raise Failed(f"{url} does not answer")
        time.sleep(0.5)


def _get(running: Container, url: str, host: str = "localhost") -> str:
    """The body of a 200, else nothing."""
    ask = ["curl", "--silent", "--fail", "--max-time", "5", "--header", f"Host: {host}", url]
    return subprocess.run(running.in_its_network(ask), capture_output=True, text=True, check=False).stdout


def _expect(what: str, is_so: object) -> None:
    say(f"{'yes' if is_so else 'NO'}: {what}")
    if not is_so:
        raise Failed(what)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools.replay", description="Carries out Dockerfile.production in a chroot.")
    parser.add_argument("--base", type=Path, help="directory with the base system")
    parser.add_argument("--keep", type=Path, help="where the image is left")
    options = parser.parse_args(arguments)
    stages = parse(DOCKERFILE.read_text())
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
        base = options.base or directory / "base"
        if not base.exists():
            make_base(stages[0].base, base)
        image = Builder(options.keep or directory, base, Context(REPOSITORY)).build(stages)
        try:
            try_image(image, stages[-1], directory)
        except Failed as failure:
            print(f"replay: failed: {failure}", file=sys.stderr)
            return 1
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
