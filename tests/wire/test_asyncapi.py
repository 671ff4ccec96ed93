from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vocabulary.faces import Guidance
from vocabulary.sessions import Reason
from wire.asyncapi import CLIENT, SERVER, document


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolve(reference: str) -> Any:
    root, *steps = reference.split("/")
    assert root == "#"
    found: Any = document()
    for step in steps:
        found = found[step]
    return found


def test_every_reference_leads_somewhere() -> None:
    found = list(references(document()))
    assert len(found) > 20
    for reference in found:
        assert resolve(reference)


def test_it_is_json() -> None:
    assert json.loads(json.dumps(document())) == document()


def test_each_side_sends_what_the_service_knows() -> None:
    operations = document()["operations"]
    sent = {
        side: [message["$ref"].rpartition("/")[2] for message in operation["messages"]]
        for side, operation in operations.items()
    }
    assert sent == {
        "client": ["BinaryFrame", *(model.__name__ for model in CLIENT)],
        "server": [model.__name__ for model in SERVER],
    }
    assert (operations["client"]["action"], operations["server"]["action"]) == ("receive", "send")


def test_every_text_message_is_described_with_its_type() -> None:
    for model in (*CLIENT, *SERVER):
        message = resolve(f"#/channels/session/messages/{model.__name__}")
        schema = resolve(message["payload"]["$ref"])
        described = schema["properties"]["type"]
        assert described.get("const") or described.get("enum")


def test_the_closed_sets_of_codes_are_in_it() -> None:
    assert resolve("#/components/schemas/Guidance/enum") == list(Guidance)
    assert resolve("#/components/schemas/Reason/enum") == list(Reason)
