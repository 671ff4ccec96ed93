"""Ids of people, made from the names that they type."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from gallery.names import display_name_of

DIGEST_DIGITS = 12
MAX_SLUG = 40
DOTLESS_I, DOTTED_I = "\u0131", "\u0130"
_PLAIN = re.compile(r"[a-z0-9._:@-]{1,128}")
_MADE = re.compile(rf"[a-z0-9-]*:[0-9a-f]{{{DIGEST_DIGITS}}}")


def subject_id_of(name: str) -> str:
    """The id of the person with this name: the same however it is spelt in upper and lower case and white space.

    A name that is an id stays one, in lower case. Any other becomes letters and digits that resemble it, a colon and a
    digest of the whole name, so that different names have different ids.

    Raises ValueError for a name with nothing that can be seen, and as `display_name_of`.
    """
    key = _key(display_name_of(name))
    if not key:
        raise ValueError("a name needs at least one letter, digit or sign")
    if _PLAIN.fullmatch(key) and not _MADE.fullmatch(key) and key.strip("."):
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{_slug(key)}:{digest}"


def _key(name: str) -> str:
    """What is equal in all spellings of a name.

    The four i of Turkish are one: a telephone capitalises the first letter by the rules of its language, and case
    folding does not know them. Joiners and other format characters, which nobody sees, do not count.
    """
    folded = unicodedata.normalize("NFC", name).replace(DOTLESS_I, "i").replace(DOTTED_I, "i").casefold()
    seen = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    key = unicodedata.normalize("NFC", " ".join(seen.split()))
    return key if any(unicodedata.category(character)[0] in "LNPS" for character in key) else ""


def _slug(key: str) -> str:
    """Letters and digits of ASCII that are in the name, without accents; the rest is a hyphen, or nothing at an end."""
    plain = "".join(
        character for character in unicodedata.normalize("NFKD", key) if not unicodedata.combining(character)
    )
    return re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_SLUG].strip("-")
