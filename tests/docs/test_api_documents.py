"""docs/api pins every public name: a change of one fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from config.settings import load
from face_app import urls
from face_app.asgi import application
from recognition.api import make_api
from recognition.management.commands import api_documents
from recognition.management.commands.api_documents import ASYNCAPI, OPENAPI

SERVED = {OPENAPI: "/api/openapi.json", ASYNCAPI: "/api/asyncapi.json"}
DATES = {"created_at", "expires_at", "last_used_at"}
CLOSED_SETS = {"kind", "status", "reason", "reasons", "issues", "action", "code", "instruction", "step", "avoid"}


def test_the_documents_are_those_in_the_repository() -> None:
    """After an intended change run `manage.py api_documents`, and review the difference before committing it."""
    call_command("api_documents", "--check")


@pytest.mark.parametrize(
    ("url", "text"), [(url, path.read_text()) for path, url in SERVED.items()], ids=["openapi", "asyncapi"]
)
async def test_the_service_serves_what_is_in_the_repository(url: str, text: str) -> None:
    asgi: Any = application
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi), base_url="http://testserver") as client:
        served = await client.get(url)
    assert served.json() == json.loads(text)


async def test_with_a_public_address_the_documents_name_it_as_their_server(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FACE", load({"FACE_PUBLIC_URL": "https://face.example:8443/face"}))
    sockets = json.loads(urls.asyncapi(rf.get("/api/asyncapi.json")).content)["servers"]
    assert sockets == {"public": {"host": "face.example:8443", "protocol": "wss", "pathname": "/face"}}
    document = make_api(settings.FACE.public_url).get_openapi_schema(path_prefix="/api/")
    assert document["servers"] == [{"url": "https://face.example:8443/face"}]
    assert "/api/v1/sessions/" in document["paths"]


@pytest.mark.parametrize(("name", "was", "became"), [("OPENAPI", "read_session", "get"), ("ASYNCAPI", "4401", "4402")])
def test_a_document_that_differs_is_noticed_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, was: str, became: str
) -> None:
    original: Path = getattr(api_documents, name)
    copy = tmp_path / original.name
    copy.write_text(original.read_text().replace(was, became))
    monkeypatch.setattr(api_documents, name, copy)
    with pytest.raises(CommandError, match=rf"{copy.name} is not what the code serves.*manage\.py api_documents"):
        call_command("api_documents", "--check")
    call_command("api_documents")
    assert copy.read_text() == original.read_text()


def operations() -> list[dict[str, Any]]:
    paths = json.loads(OPENAPI.read_text())["paths"]
    return [operation for methods in paths.values() for operation in methods.values()]


def test_an_operation_is_called_by_a_verb_and_a_noun() -> None:
    names = [operation["operationId"] for operation in operations()]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+_[a-z]+", name)] == []


def test_every_operation_says_what_opens_it() -> None:
    for operation in operations():
        assert operation["security"]
        assert "scope" in operation["description"]


def properties(part: Any) -> Iterator[tuple[str, Any]]:
    """Every property of every schema anywhere in a document."""
    if isinstance(part, dict):
        found = part.get("properties")
        yield from (found if isinstance(found, dict) else {}).items()
        for value in part.values():
            yield from properties(value)
    elif isinstance(part, list):
        for value in part:
            yield from properties(value)


def is_closed(schema: Any, schemas: dict[str, Any]) -> bool:
    """Whether the schema allows only enumerated values, null, or lists of such."""
    if "$ref" in schema:
        return is_closed(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "items" in schema:
        return is_closed(schema["items"], schemas)
    if "anyOf" in schema:
        return all(is_closed(option, schemas) for option in schema["anyOf"])
    return "enum" in schema or "const" in schema or schema.get("type") == "null"


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.name)
def test_closed_sets_are_enums_and_moments_are_dates(path: Path) -> None:
    document = json.loads(path.read_text())
    schemas = document["components"]["schemas"]
    found = list(properties(schemas))
    assert {"kind", "status", "expires_at"} < {name for name, _ in found}
    for name, schema in found:
        if name in CLOSED_SETS:
            assert is_closed(schema, schemas), f"{name}: {schema}"
        if name in DATES:
            options = [option for option in schema.get("anyOf", [schema]) if option["type"] != "null"]
            assert [option.get("format") for option in options] == ["date-time"], f"{name}: {schema}"


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.name)
def test_every_schema_is_there_and_is_used(path: Path) -> None:
    document = json.loads(path.read_text())
    prefix = "#/components/schemas/"
    used = {found.removeprefix(prefix) for found in references(document) if found.startswith(prefix)}
    assert used == set(document["components"]["schemas"])
