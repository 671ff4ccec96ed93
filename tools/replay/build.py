"""The image of a Dockerfile as a directory: each stage is a copy of its base, in which its instructions are done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.replay.dockerfile import Context, Instruction, NotUnderstood, Stage

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_OURS = "/etc/machine-certificates.crt"
_RUN = """set -e
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" env -i "${@:2}" /bin/sh -c 'cd "$0" && eval "$1"' "$WORKDIR" "$1"
"""
"""Runs the command $1 in the directory $0 with the variables that follow; its mounts end with it."""


def make_base(image: str, target: Path) -> None:
    """Make Debian's smallest system for an image such as debian:trixie-slim."""
    name, _, tag = image.partition(":")
    if name != "debian" or not tag.endswith("-slim"):
        raise NotUnderstood(f"FROM {image}")
    subprocess.run(["debootstrap", "--variant=minbase", tag.removesuffix("-slim"), target], check=True)


class Builder:
    """Carries out stages below `directory`. `base` is a directory with the system that all of them begin with."""

    def __init__(self, directory: Path, base: Path, context: Context) -> None:
        self._directory = directory
        self._base = base
        self._context = context
        self._made: dict[str, Path] = {}

    def build(self, stages: list[Stage]) -> Path:
        """Returns the directory of the last stage."""
        for number, stage in enumerate(stages):
            root = self._directory / f"stage-{number}"
            subprocess.run(["cp", "-a", self._base, root], check=True)
            self._carry_out(stage, root)
            self._made[stage.name or str(number)] = root
        return root

    def _carry_out(self, stage: Stage, root: Path) -> None:
        variables = {"PATH": _PATH, "HOME": "/root", **_reach_registries(root)}
        where = "/"
        for one in stage.instructions:
            print(f"replay: {one.keyword} {one.value[:100]}", flush=True)
            if one.keyword == "RUN":
                _run(one.value, root, where, variables)
            elif one.keyword == "ENV":
                variables |= one.variables()
            elif one.keyword == "WORKDIR":
                where = one.value
                _in(root, where).mkdir(parents=True, exist_ok=True)
            elif one.keyword == "COPY":
                self._copy(one, root, where)

    def _copy(self, one: Instruction, root: Path, where: str) -> None:
        source, target = one.words()
        place = _in(root, target if target.startswith("/") else f"{where}/{target}")
        if one.options:
            stage = self._made[one.options[0].removeprefix("--from=")]
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", _in(stage, source), place], check=True)
            return
        files = self._context.files(source)
        if not files:
            raise FileNotFoundError(f"COPY {source}: .dockerignore leaves nothing of it")
        for file in files:
            into = place / file.relative_to(source) if (self._context.root / source).is_dir() else place
            into = into / file.name if target.endswith("/") else into
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._context.root / file, into)


def _in(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _run(command: str, root: Path, where: str, variables: Mapping[str, str]) -> None:
    given = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(
        ["unshare", "--mount", "bash", "-c", _RUN, root, command, *given],
        env={**os.environ, "WORKDIR": where},
        check=True,
        umask=0o022,
    )


def _reach_registries(root: Path) -> dict[str, str]:
    """Tell the system how this machine reaches its registries; returns variables for that. No part of the image."""
    for path in map(Path, ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/npmrc")):
        if path.exists():
            shutil.copy(path, _in(root, str(path)))
    variables = {name: os.environ[name] for name in os.environ if name.lower() in ("http_proxy", "https_proxy")}
    variables |= {name: os.environ[name] for name in ("PIP_INDEX_URL",) if name in os.environ}
    if _CERTIFICATES.exists():
        shutil.copy(_CERTIFICATES, _in(root, _OURS))
        variables |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), _OURS)
    return variables
