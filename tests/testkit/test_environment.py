from __future__ import annotations

import re

import pytest

from testkit.environment import clean_environment
from testkit.service import REPOSITORY


def test_no_setting_of_the_documentation_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a developer's own would decide what tests of real processes see."""
    documented = re.findall(
        r"^\| `([A-Z][A-Z0-9_]+)`", (REPOSITORY / "docs/configuration.md").read_text(), re.MULTILINE
    )
    assert len(documented) > 50
    for name in documented:
        monkeypatch.setenv(name, "mine")
    assert not set(documented) & set(clean_environment())
