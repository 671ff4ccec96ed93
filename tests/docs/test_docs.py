"""The documents agree with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from config.settings import Settings
from recognition.api import make_api
from testkit.service import REPOSITORY
from wire.asyncapi import CLIENT, SERVER

PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text()
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
DOCUMENTS = [
    REPOSITORY / "README.md",
    CONTRIBUTING,
    REPOSITORY / "SECURITY.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
MESSAGES = {name: model for model in (*CLIENT, *SERVER) for name in get_args(model.model_fields["type"].annotation)}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_documented_with_its_fields(name: str) -> None:
    row = re.search(rf"^\| [^|]*`{name}`[^|]*\|(.*)\|$", PROTOCOL, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row.group(1))) == set(MESSAGES[name].model_fields) - {"type"}


def test_every_route_is_documented() -> None:
    documented = {
        (method, path)
        for methods, paths in re.findall(r"^\| ((?:GET|POST|PATCH|DELETE)[A-Z, ]*) (`.*?`) \|", PROTOCOL, re.MULTILINE)
        for method in methods.split(", ")
        for path in re.findall(r"`(\S+?)`", paths)
    }
    schema = make_api().get_openapi_schema(path_prefix="/api/")
    served = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert {(method, path) for method, path in documented if path.startswith("/api/v1/")} == served


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_path_and_variable_that_is_named_exists(document: Path) -> None:
    text = document.read_text()
    packages = "|".join(init.parent.name for init in (REPOSITORY / "face_recognition_app").glob("*/__init__.py"))
    paths = re.findall(rf"`((?:{packages})/[\w/]+\.py)`", text)
    assert [path for path in paths if not (REPOSITORY / "face_recognition_app" / path).is_file()] == []
    known = {field.alias for field in Settings.model_fields.values()}
    assert set(re.findall(r"\b(?:FACE|GUNICORN)_[A-Z0-9_]+\b", text)) <= known


def test_the_commands_of_the_readme_are_there() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for script in re.findall(r"^(\./\w+\.sh)", readme, re.MULTILINE):
        assert (REPOSITORY / script).stat().st_mode & 0o100, f"{script} cannot be run"
    for module in re.findall(r"python -m ([\w.]+)", readme):
        place = REPOSITORY / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module


def test_the_examples_of_style_are_our_own_code() -> None:
    examples = re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.+?)```", CONTRIBUTING.read_text(), re.DOTALL)
    assert len(examples) == 3
    for path, code in examples:
        [file] = [root / path for root in (REPOSITORY, REPOSITORY / "face_recognition_app") if (root / path).is_file()]
        assert code in file.read_text()


def test_the_scripts_that_are_named_are_there() -> None:
    for document in DOCUMENTS:
        for script in re.findall(r"\b((?:scripts|requirements)/\w+\.sh)\b", document.read_text()):
            assert (REPOSITORY / script).stat().st_mode & 0o100, f"{document.name}: {script} cannot be run"
