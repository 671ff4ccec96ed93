"""Names of people, as they are shown."""

from __future__ import annotations

import unicodedata

MAX_DISPLAY_NAME = 200
"""Characters (code points)."""
MAX_CONSENT_NAME = 64
"""Characters of the name and of the version of a consent's words."""
CONSENT_NAME = r"^[A-Za-z0-9._:/@-]+$"
"""Pattern of both."""
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION_CONTROLS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def display_name_of(text: str) -> str:
    """The name without white space around it, in Unicode's form NFC; empty for a person without one.

    Raises ValueError for more than MAX_DISPLAY_NAME characters, and for control characters: also for those that would
    change the direction of the text around the name.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if len(name) > MAX_DISPLAY_NAME:
        raise ValueError(f"a name has at most {MAX_DISPLAY_NAME} characters")
    if any(_is_control(character) for character in name):
        raise ValueError("a name has no control characters")
    return name


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or unicodedata.bidirectional(character) in _DIRECTION_CONTROLS
