"""manage.py api_documents [--check]"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.settings import REPOSITORY
from recognition.api import make_api
from wire import asyncapi

OPENAPI = REPOSITORY / "docs" / "api" / "openapi.json"
ASYNCAPI = REPOSITORY / "docs" / "api" / "asyncapi.json"


class Command(BaseCommand):
    help = "Writes docs/api/openapi.json and docs/api/asyncapi.json, which pin every public name, from the code."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a document has changed")

    def handle(self, *args: Any, **options: Any) -> None:
        for path, document in ((OPENAPI, openapi_document()), (ASYNCAPI, asyncapi.document())):
            text = as_text(document)
            if not options["check"]:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            elif not path.is_file() or path.read_text() != text:
                raise CommandError(
                    f"docs/api/{path.name} is not what the code serves: a public name, type or code has changed. "
                    "If that is meant, run manage.py api_documents and commit the difference"
                )


def openapi_document() -> dict[str, Any]:
    document: dict[str, Any] = make_api().get_openapi_schema(path_prefix="/api/")
    return document


def as_text(document: dict[str, Any]) -> str:
    """JSON with sorted keys. A number as a key becomes text first: numbers and text have no common order."""
    return json.dumps(json.loads(json.dumps(document)), indent=2, sort_keys=True) + "\n"
