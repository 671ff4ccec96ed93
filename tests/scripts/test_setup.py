"""scripts/setup.sh on a machine that lacks something."""

from __future__ import annotations

import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.shell import programs, run_setup, start_setup

UNHEARD_OF = f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's directory with an empty lock, and one that cannot be installed."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "empty.lock").touch()
    (tmp_path / "requirements" / "unheard-of.lock").write_text(UNHEARD_OF)
    return tmp_path


@pytest.fixture
def directory(root: Path) -> Iterator[int]:
    """The descriptor of the directory that set-ups lock."""
    descriptor = os.open(root, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_it_needs_no_programs_but_those_of_every_system(root: Path) -> None:
    path = str(programs(root / "programs"))
    first = run_setup(root, "install empty", PATH=path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "making" in first.stdout
    assert "installing requirements/empty.lock" in first.stdout

    second = run_setup(root, "install empty", PATH=path)
    assert (second.returncode, second.stderr) == (0, "")
    assert "requirements/empty.lock is installed" in second.stdout


def test_a_second_set_up_waits_and_says_so(root: Path, directory: int) -> None:
    fcntl.flock(directory, fcntl.LOCK_EX)
    with start_setup(root, 'exec 9<"$root"; lock_setup; echo locked') as second:
        assert second.stdout is not None
        assert second.stdout.readline().strip() == "waiting for another set-up to end"
        fcntl.flock(directory, fcntl.LOCK_UN)
        assert second.stdout.read() == "locked\n"
    assert second.returncode == 0


def test_a_set_up_of_another_environment_does_not_wait(root: Path, directory: int) -> None:
    """A service must start while the environments of other Pythons are made, which takes minutes."""
    fcntl.flock(directory, fcntl.LOCK_EX)
    (root / "other").mkdir()
    other = "venv=$root/other python=$root/other/bin/python set_up_in=$root/other"
    done = run_setup(root, f"{other}; install empty", PATH=str(programs(root / "programs")))
    assert (done.returncode, done.stderr) == (0, "")
    assert "requirements/empty.lock" in done.stdout


def test_a_set_up_keeps_others_out_until_it_ends(root: Path, directory: int) -> None:
    with start_setup(root, 'exec 9<"$root"; lock_setup; echo locked; read -r') as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first.stdin.write("\n")
    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("machine", ["aarch64", "riscv64"])
def test_on_another_processor_a_missing_wheel_is_told_with_what_was_tried(root: Path, machine: str) -> None:
    (root / "sitecustomize.py").write_text(f"import platform\nplatform.machine = lambda: {machine!r}\n")
    done = fail_to_install(root, PYTHONPATH=str(root))
    assert f"The service was tried on Linux on x86-64 with glibc; this is linux on {machine} with" in done


@pytest.mark.skipif(
    (platform.machine(), platform.libc_ver()[0]) != ("x86_64", "glibc"), reason="another kind of machine"
)
def test_where_it_was_tried_the_machine_is_not_blamed(root: Path) -> None:
    assert "was tried on" not in fail_to_install(root)


def fail_to_install(root: Path, **variables: str) -> str:
    """Output of the script when a lock cannot be installed."""
    (root / ".venv").mkdir()
    done = run_setup(root, f"python={sys.executable}; install_lock unheard-of", PIP_NO_INDEX="1", **variables)
    assert done.returncode == 1
    assert "no-such-package" in done.stderr
    assert "the dependencies could not be installed; see above" in done.stderr
    return done.stderr
