"""Keys that an operator gives: 32 random bytes in base64, in a variable or in a file that others may not read."""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Sequence
from pathlib import Path

KEY_BYTES = 32
HOW_TO_MAKE = "make one with: openssl rand -base64 32"
_FOR_OTHERS = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
"""Permissions that a key file must not give. The group may read: orchestrators mount secrets that way."""


class UnusableKey(ValueError):
    """The message says what to do. It never contains a key."""


def decoded(texts: Sequence[str], source: str) -> list[bytes]:
    """The keys; `source`: the variable that gave them. Raises UnusableKey, also for none."""
    if not texts:
        raise UnusableKey(f"{source} gives no key: {HOW_TO_MAKE}")
    return [_decode(text.strip(), number, source) for number, text in enumerate(texts, 1)]


def in_file(path: Path, source: str) -> list[bytes]:
    """The keys in a file, one a line. Raises UnusableKey."""
    try:
        mode = path.stat().st_mode
        if mode & _FOR_OTHERS:
            raise UnusableKey(f"{source}={path} may be used by others (mode {stat.S_IMODE(mode):o}): chmod 600 {path}")
        return decoded(path.read_text("ascii").split(), source)
    except OSError as error:
        raise UnusableKey(f"{source}={path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UnusableKey(f"{source}={path} is not base64, a key a line: {HOW_TO_MAKE}") from None


def _decode(text: str, number: int, source: str) -> bytes:
    try:
        key = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnusableKey(f"key {number} of {source} is not base64: {HOW_TO_MAKE}") from None
    if len(key) != KEY_BYTES:
        raise UnusableKey(f"key {number} of {source} has {len(key)} bytes and not {KEY_BYTES}: {HOW_TO_MAKE}")
    if len(set(key)) < KEY_BYTES // 4:
        raise UnusableKey(f"key {number} of {source} is not random: {HOW_TO_MAKE}")
    return key
