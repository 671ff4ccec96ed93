"""A release has one version number: pyproject.toml states it, and everything that reports it agrees."""

from __future__ import annotations

import re
import tomllib

from recognition.api import make_api
from testkit.service import REPOSITORY
from wire.asyncapi import document

STATED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


def test_the_documents_for_clients_tell_it() -> None:
    assert make_api().get_openapi_schema(path_prefix="/api/")["info"]["version"] == STATED
    assert document()["info"]["version"] == STATED


def test_the_newest_release_of_the_changelog_is_it() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(f"{STATED} ")
    assert re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == STATED
