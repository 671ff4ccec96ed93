"""What a tenant may store with a person or a session, as JSON."""

from __future__ import annotations

import json
from typing import Any

MAX_METADATA_CHARACTERS = 8_192


def storable(metadata: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is too long, and what Python parses as JSON but no database stores: NaN, lone surrogates, NUL."""
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("not storable as JSON") from error
    if len(text) > MAX_METADATA_CHARACTERS:
        raise ValueError(f"longer than {MAX_METADATA_CHARACTERS} characters as JSON")
    if r"\u0000" in text.replace(r"\\", ""):
        raise ValueError("not storable as JSON: it contains NUL")
    return metadata
