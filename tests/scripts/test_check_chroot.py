"""The arguments of scripts/check_chroot.sh; what it checks takes minutes and a network."""

from __future__ import annotations

import subprocess

from testkit.service import REPOSITORY


def check_chroot(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPOSITORY / "scripts" / "check_chroot.sh", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_the_releases() -> None:
    done = check_chroot("--help")
    assert done.returncode == 0
    assert "[bookworm] [trixie]" in done.stdout


def test_another_release_is_refused() -> None:
    done = check_chroot("bookworm", "buster")
    assert done.returncode == 2
    assert "unknown argument 'buster'" in done.stderr
