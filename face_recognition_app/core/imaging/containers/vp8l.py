"""Parser for the lossless stream of WebP (VP8L), up to the number of its prefix-code groups.

A decoder builds five tables for each group of prefix codes and switches groups from block to block. With a group for
every 4x4 pixels, decoding takes forty times as long. The number of blocks follows the transforms, whose data must be
parsed to reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ImageTooComplex, InvalidImage

MAX_BLOCKS = 4_096
"""Blocks with a group of prefix codes each; libwebp writes at most 2,600."""
SPARE_SYMBOLS = 1 << 15
PIXELS_PER_SYMBOL = 128
"""Pixels for each symbol of transform data beyond the spare ones; libwebp writes 2 symbols per 16x16 pixels."""

_PREDICTOR, _COLOUR, _SUBTRACT_GREEN, _PALETTE = range(4)
_LITERALS, _LENGTHS, _DISTANCES = 256, 24, 40
_CODE_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_LONGEST = 15


@dataclass(frozen=True, slots=True)
class _Code:
    """Decoding table of a prefix code: (symbol, code length), indexed by the next `longest` bits."""

    longest: int
    table: list[tuple[int, int]]


class Stream:
    def __init__(self, data: bytes, at: int) -> None:
        """`at`: position of the stream's first byte behind the picture's size."""
        self._data = data
        self._bit = 8 * at
        self._end = 8 * len(data)
        self._symbols_left = SPARE_SYMBOLS

    def check(self, width: int, height: int) -> None:
        """Parse the stream up to its prefix codes. Raises InvalidImage or ImageTooComplex."""
        self._symbols_left += width * height // PIXELS_PER_SYMBOL
        seen: set[int] = set()
        while self._read(1):
            transform = self._read(2)
            if transform in seen:
                raise InvalidImage("the picture is damaged")
            seen.add(transform)
            width = self._skip_transform(transform, width, height)
        if self._read(1):
            self._read(4)  # the size of the colour cache
        if self._read(1) and _blocks(width, height, 2 + self._read(3)) > MAX_BLOCKS:
            raise ImageTooComplex("the picture has too many prefix codes")

    def _skip_transform(self, transform: int, width: int, height: int) -> int:
        """Skip a transform; return the width it leaves: with a small palette, one coded pixel holds several."""
        if transform in (_PREDICTOR, _COLOUR):
            self._skip_pixels(_blocks(width, height, 2 + self._read(3)))
        elif transform == _PALETTE:
            colours = 1 + self._read(8)
            self._skip_pixels(colours)
            return -(-width // (8 if colours <= 2 else 4 if colours <= 4 else 2 if colours <= 16 else 1))
        return width

    def _skip_pixels(self, count: int) -> None:
        cached = 1 << self._read(4) if self._read(1) else 0
        green, *others, distance = (
            self._code(size) for size in (_LITERALS + _LENGTHS + cached, _LITERALS, _LITERALS, _LITERALS, _DISTANCES)
        )
        if not green.longest and not any(code.longest for code in others) and green.table[0][0] < _LITERALS:
            return  # Equal pixels take no bits.
        others = [code for code in others if code.longest]
        while count > 0:
            self._symbols_left -= 1
            if self._symbols_left < 0:
                raise ImageTooComplex("the picture's transforms have too much data")
            symbol = self._symbol(green)
            count -= 1
            if symbol < _LITERALS:
                for code in others:
                    self._symbol(code)
            elif symbol < _LITERALS + _LENGTHS:
                count -= self._prefixed(symbol - _LITERALS) - 1
                self._prefixed(self._symbol(distance))

    def _prefixed(self, symbol: int) -> int:
        """A length or a distance, whose extra bits follow its prefix `symbol`."""
        if symbol < 4:
            return symbol + 1
        extra = (symbol - 2) >> 1
        return ((2 + (symbol & 1)) << extra) + self._read(extra) + 1

    def _code(self, alphabet: int) -> _Code:
        if self._read(1):
            two, wide = self._read(1), self._read(1)
            first = self._read(8 if wide else 1)
            return _Code(1, [(first, 1), (self._read(8), 1)]) if two else _Code(0, [(first, 0)])
        lengths = [0] * len(_CODE_LENGTH_ORDER)
        for symbol in _CODE_LENGTH_ORDER[: 4 + self._read(4)]:
            lengths[symbol] = self._read(3)
        return _code_of(self._lengths(_code_of(lengths), alphabet))

    def _lengths(self, code: _Code, alphabet: int) -> list[int]:
        reads = 2 + self._read(2 + 2 * self._read(3)) if self._read(1) else alphabet
        lengths: list[int] = []
        before = 8
        while len(lengths) < alphabet and reads:
            reads -= 1
            symbol = self._symbol(code)
            if symbol < 16:
                lengths.append(symbol)
                before = symbol or before
            elif symbol == 16:
                lengths += [before] * (3 + self._read(2))
            else:
                lengths += [0] * (3 + self._read(3) if symbol == 17 else 11 + self._read(7))
        if len(lengths) > alphabet:
            raise InvalidImage("the picture is damaged")
        return lengths

    def _symbol(self, code: _Code) -> int:
        symbol, length = code.table[self._peek(code.longest)]
        self._bit += length
        return symbol

    def _read(self, bits: int) -> int:
        value = self._peek(bits)
        self._bit += bits
        return value

    def _peek(self, bits: int) -> int:
        byte = self._bit >> 3
        if self._bit > self._end:
            raise InvalidImage("the picture is broken off")
        return int.from_bytes(self._data[byte : byte + 5], "little") >> (self._bit & 7) & ((1 << bits) - 1)


def _blocks(width: int, height: int, bits: int) -> int:
    side = 1 << bits
    return -(-width // side) * -(-height // side)


def _code_of(lengths: Sequence[int]) -> _Code:
    """Decoding table of the canonical prefix code with these code lengths (by symbol). Raises InvalidImage."""
    used = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    if len(used) < 2:
        return _Code(0, [(used[0][1] if used else 0, 0)])
    longest = used[-1][0]
    if sum(1 << (_LONGEST - length) for length, _ in used) != 1 << _LONGEST:
        raise InvalidImage("the picture is damaged")
    table = [(0, 0)] * (1 << longest)
    code = 0  # with `longest` bits, of which those beyond the symbol's own are 0
    for length, symbol in used:
        start = int(f"{code:0{longest}b}"[::-1], 2)
        table[start :: 1 << length] = [(symbol, length)] * (1 << (longest - length))
        code += 1 << (longest - length)
    return _Code(longest, table)
