"""The encrypted stream: it gives back what was written, or nothing that was changed."""

from __future__ import annotations

import io
import os

import pytest

from backup.errors import UnreadableFile
from backup.sealed_stream import CHUNK_BYTES, MAGIC, SALT_BYTES, TAG_BYTES, SealedReader, SealedWriter

KEY = os.urandom(32)
HEAD = len(MAGIC) + SALT_BYTES
SEALED = CHUNK_BYTES + TAG_BYTES
CONTENT = os.urandom(2 * CHUNK_BYTES + 1_000)
"""Three chunks, the last one short."""


def sealed(content: bytes, key: bytes | str = KEY) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, key)
    for begin in range(0, len(content), 700_001):
        writer.write(content[begin : begin + 700_001])
    writer.finish()
    return file.getvalue()


def opened(file: bytes, key: bytes | str = KEY) -> bytes:
    return SealedReader(io.BytesIO(file), key).readall()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_what_was_written_is_read(size: int) -> None:
    content = CONTENT[:size]
    file = sealed(content)
    assert opened(file) == content
    assert size < 16 or content[:16] not in file


def test_a_file_has_a_key_of_its_own() -> None:
    first, second = sealed(b"the same"), sealed(b"the same")
    assert first[HEAD:] != second[HEAD:]


@pytest.mark.parametrize("place", [len(MAGIC), HEAD, HEAD + SEALED + 5, HEAD + 2 * SEALED + 5, -1])
def test_a_changed_bit_is_found(place: int) -> None:
    file = bytearray(sealed(CONTENT))
    file[place] ^= 1
    with pytest.raises(UnreadableFile, match="was changed"):
        opened(bytes(file))


@pytest.mark.parametrize("length", [HEAD, HEAD + 1, HEAD + SEALED - 1, HEAD + SEALED, HEAD + 2 * SEALED, -1])
def test_a_file_that_was_cut_is_found(length: int) -> None:
    with pytest.raises(UnreadableFile, match="cut off"):
        opened(sealed(CONTENT)[:length])


def test_chunks_are_in_their_places_and_of_one_file() -> None:
    file, other = sealed(CONTENT), sealed(CONTENT)
    head, first, second, last = (file[:HEAD], *(file[HEAD + n * SEALED : HEAD + (n + 1) * SEALED] for n in range(3)))
    foreign = other[HEAD + SEALED : HEAD + 2 * SEALED]
    assert opened(head + first + second + last) == CONTENT
    for wrong in (
        head + second + first + last,
        head + first + last,
        head + first + first + last,
        head + first + second + last + last,
        head + first + foreign + last,
        head + last,
    ):
        with pytest.raises(UnreadableFile):
            opened(wrong)


def test_another_key_opens_nothing() -> None:
    file = sealed(CONTENT, "correct horse battery staple")
    assert opened(file, "correct horse battery staple") == CONTENT
    for key in ("correct horse battery stable", KEY):
        with pytest.raises(UnreadableFile, match="the key is another one"):
            opened(file, key)


def test_what_is_no_backup_is_told_from_one() -> None:
    for file in (b"", b"SQLite format 3\0" * 100, MAGIC):
        with pytest.raises(UnreadableFile, match=r"no backup|cut off"):
            opened(file)
