"""A stream that is encrypted in chunks, whose order and end are authenticated.

The file is MAGIC, a salt, and chunks of AES-256-GCM. Salt and key give the file a key of its own, so that the nonce can
be the chunk's number and whether it is the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and
Vizar, 2015). A chunk that was changed, moved, repeated or left out cannot be opened, and a file that was cut has no
last one.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from backup.errors import UnreadableFile

MAGIC = b"FACE-BACKUP-1\n"
SALT_BYTES = 32
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
SCRYPT_COST = 1 << 17
"""With blocks of 8: 128 MiB of memory and about half a second for each guess at a passphrase."""


def file_key(key: bytes | str, salt: bytes) -> bytes:
    """The key of one file, of a random key or of a passphrase."""
    if isinstance(key, str):
        key = Scrypt(salt, 32, n=SCRYPT_COST, r=8, p=1).derive(key.encode())
    return HKDF(SHA256(), 32, salt=salt, info=MAGIC).derive(key)


class SealedWriter(io.RawIOBase):
    """Takes bytes and writes them to `file`, encrypted. Only `finish` makes the file complete."""

    def __init__(self, file: BinaryIO, key: bytes | str) -> None:
        salt = os.urandom(SALT_BYTES)
        self._file = file
        self._cipher = AESGCM(file_key(key, salt))
        self._waiting = bytearray()
        self._number = 0
        file.write(MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # the stubs' type has no name
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:  # Not the last byte: it may be in the last chunk.
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def finish(self) -> None:
        self._seal(bytes(self._waiting), is_last=True)

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, is_last), chunk, None))
        self._number += 1


class SealedReader(io.RawIOBase):
    """What a SealedWriter has taken. Everything that `read` returns is authentic; the end is so where it returns no
    more. Raises UnreadableFile."""

    def __init__(self, file: BinaryIO, key: bytes | str) -> None:
        if file.read(len(MAGIC)) != MAGIC:
            raise UnreadableFile("this is no backup, or one of another version of the service")
        salt = file.read(SALT_BYTES)
        if len(salt) != SALT_BYTES:
            raise UnreadableFile("the backup is cut off: take another copy")
        self._file = file
        self._cipher = AESGCM(file_key(key, salt))
        self._sealed = file.read(CHUNK_BYTES + TAG_BYTES)
        self._open = memoryview(b"")
        self._number = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs' type has no name
        while not self._open and not self._is_over:
            self._next_chunk()
        given = self._open[: len(buffer)]
        buffer[: len(given)] = given
        self._open = self._open[len(given) :]
        return len(given)

    def _next_chunk(self) -> None:
        following = self._file.read(CHUNK_BYTES + TAG_BYTES)
        self._is_over = not following
        self._open = memoryview(self._unseal(self._sealed, is_last=self._is_over))
        self._sealed = following
        self._number += 1

    def _unseal(self, chunk: bytes, *, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(_nonce(self._number, is_last), chunk, None)
        except (InvalidTag, ValueError):
            raise UnreadableFile(self._why(chunk, is_last)) from None

    def _why(self, chunk: bytes, is_last: bool) -> str:
        if is_last and self._opens_as_a_middle_one(chunk):
            return "the backup is cut off: take another copy"
        if self._number == 0:
            return "the backup cannot be opened: the key is another one, or the file was changed or cut off"
        return f"the backup was changed or cut off in chunk {self._number + 1}: take another copy"

    def _opens_as_a_middle_one(self, chunk: bytes) -> bool:
        try:
            self._cipher.decrypt(_nonce(self._number, False), chunk, None)
        except (InvalidTag, ValueError):
            return False
        return True


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
