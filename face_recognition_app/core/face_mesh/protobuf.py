"""Minimal reader of protocol buffers without a schema; the library would need generated code."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass

_VARINT, _EIGHT_BYTES, _PART, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Message:
    """Values of each field in order, by field number."""

    values: dict[int, list[int | bytes]]

    def number(self, field: int) -> int:
        value = self.values[field][-1]
        assert isinstance(value, int)
        return value

    def parts(self, field: int) -> list[bytes]:
        """Length-delimited values of a field: messages, strings or packed numbers."""
        return [value for value in self.values[field] if isinstance(value, bytes)]

    def floats(self, field: int) -> tuple[float, ...]:
        """Single-precision numbers, packed or one by one."""
        data = b"".join(self.parts(field))
        return struct.unpack(f"<{len(data) // 4}f", data)


def read(data: bytes) -> Message:
    """Parse a message. Raises ValueError or IndexError for malformed data."""
    values: dict[int, list[int | bytes]] = defaultdict(list)
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            values[key >> 3].append(number)
            continue
        if kind == _PART:
            length, at = _varint(data, at)
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            length = 4 if kind == _FOUR_BYTES else 8
        else:
            raise ValueError(f"there is no wire type {kind}")
        if at + length > len(data):
            raise ValueError("the message is broken off")
        values[key >> 3].append(data[at : at + length])
        at += length
    return Message(values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
