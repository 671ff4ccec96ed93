"""Runs a command of an image as a container engine would: as process 1 and the image's user, without any capability,
with its own network, a root file system that is read-only, and nothing writable but the volumes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tools.replay.dockerfile import Stage

_START = """set -e
root=$0 user=$1
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for place in /tmp /run/face; do
    mount -t tmpfs -o "mode=0700,uid=$user,gid=$user" tmpfs "$root$place"
done
mount --bind "$DATA" "$root/data"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --inh-caps=-all \\
    --bounding-set=-all "${@:2}"
"""
_JOIN = """exec setpriv --reuid "$0" --regid "$0" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


class Container:
    """A running one. `pid` is that of its process 1, as this machine sees it."""

    def __init__(self, process: subprocess.Popen[bytes], user: str, given: list[str]) -> None:
        self._process = process
        self._user = user
        self._given = given
        self.pid = _first_child(process)

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        join = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--root", "bash", "-c", _JOIN]
        return subprocess.run([*join, self._user, *self._given, *command], capture_output=True, text=True, check=False)

    def in_its_network(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command of this machine with the container's network."""
        return ["nsenter", "--target", str(self.pid), "--net", *command]

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, within_s: float) -> int:
        """Wait for its end; returns the exit code."""
        return self._process.wait(within_s)

    def stop(self, within_s: float) -> tuple[int, float]:
        """Send SIGTERM to process 1, and SIGKILL after that time; returns its exit code, and how long it took."""
        began = time.monotonic()
        psutil.Process(self.pid).send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return code, time.monotonic() - began


@contextmanager
def container(
    image: Path,
    stage: Stage,
    data: Path,
    log: Path,
    command: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> Iterator[Container]:
    """Run the entry point of the image with its own command, or another one, until the block ends."""
    user, _, _ = stage.last("USER").value.partition(":")
    variables = {**stage.environment(), **(environment or {})}
    directory = stage.last("WORKDIR").value
    given = ["env", "--ignore-environment", f"--chdir={directory}", *(f"{k}={v}" for k, v in variables.items())]
    entry = [*stage.last("ENTRYPOINT").words(), *(command or stage.last("CMD").words())]
    own = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*own, "bash", "-c", _START, image, user, *given, *entry],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DATA": str(data)},
        )
    try:
        yield Container(process, user, given)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _first_child(process: subprocess.Popen[bytes]) -> int:
    for _ in range(200):
        children = psutil.Process(process.pid).children()
        if children:
            return children[0].pid
        time.sleep(0.02)
    raise RuntimeError("the container did not start")
