"""What may be stored as JSON with a person, a session or a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MAX_METADATA_CHARACTERS = 8_192


def storable(limit: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A check that refuses what has more characters as JSON, and what Python parses as JSON but no database stores:
    NaN, lone surrogates, NUL."""

    def check(given: dict[str, Any]) -> dict[str, Any]:
        try:
            text = json.dumps(given, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (ValueError, RecursionError) as error:
            raise ValueError("not storable as JSON") from error
        if len(text) > limit:
            raise ValueError(f"longer than {limit} characters as JSON")
        if r"\u0000" in text.replace(r"\\", ""):
            raise ValueError("not storable as JSON: it contains NUL")
        return given

    return check


storable_metadata = storable(MAX_METADATA_CHARACTERS)
