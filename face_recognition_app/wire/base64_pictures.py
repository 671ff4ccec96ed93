"""Pictures in the base64 that browsers, phones and mail libraries write."""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes

_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = b" \t\r\n"


def decode_picture(text: str) -> bytes:
    """Bytes of a picture in base64, plain or as a data URL.

    Either alphabet is taken, with padding or without, and in lines. Raises ValueError for anything else.
    """
    encoded = text.encode("ascii")
    if encoded[:5].lower() == b"data:":
        encoded = unquote_to_bytes(encoded.partition(b",")[2])
    encoded = encoded.translate(_STANDARD, _SPACES).rstrip(b"=")
    return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
