"""The Ed25519 keys that tokens are signed with, as files that every process reads: one signs, replaced ones verify.

keys/decision-ed25519.pem         the private key that signs
keys/retired-KID-UNTIL.pem        a replaced public key, published until UNTIL, in seconds since the epoch

UNTIL is by the machine's clock, as are the times in tokens: while a token is valid, so is the key that signed it.
A rotation deletes the private key that it replaces. Files are replaced atomically: a reader sees the old or the new.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from config.processes.locks import exclusive
from config.secret import read_or_make, replace

logger = logging.getLogger(__name__)

CURRENT = "decision-ed25519.pem"
SWEPT_AFTER_S = 86_400
"""Seconds for which a public key's file stays after UNTIL: a clock that was fast by mistake is set back."""
_RETIRED = re.compile(r"retired-([0-9a-f]{16})-([0-9]{1,12})\.pem")


class UnusableKeyFile(Exception):
    pass


@dataclass(frozen=True, slots=True)
class RetiredKey:
    key_id: str
    public: Ed25519PublicKey
    until: int
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class KeySet:
    private: Ed25519PrivateKey
    retired: tuple[RetiredKey, ...] = ()

    @property
    def key_id(self) -> str:
        return key_id_of(self.private.public_key())

    def public_keys(self) -> dict[str, Ed25519PublicKey]:
        """Keys that verify now, by key id; the signing key is the first."""
        now = time.time()  # noqa: TID251 - as the times in tokens
        retired = {key.key_id: key.public for key in self.retired if key.until > now}
        return {self.key_id: self.private.public_key()} | retired


class SigningKeys:
    """The keys in the files, kept current: each use checks with two `stat` calls for a rotation by another process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._state = _state_of(directory)
        self._keys = _read(directory)

    def current(self) -> KeySet:
        """The current keys; those read last when the files cannot be read now."""
        with self._lock:
            try:
                state = _state_of(self._directory)
                if state != self._state:
                    self._keys = _read(self._directory)
                    self._state = state
            except (OSError, UnusableKeyFile) as error:
                logger.warning("the signing keys cannot be read, those read before go on: %s", error)
            return self._keys


def make_signing_key(data_dir: Path) -> Path:
    """Create the first key when there is none; returns the directory of the keys."""
    directory = data_dir / "keys"
    read_or_make(directory / CURRENT, lambda: _private_pem(Ed25519PrivateKey.generate()))
    return directory


def rotate(directory: Path, overlap_s: int) -> KeySet:
    """Sign with a new key from now on; the old one verifies for `overlap_s` seconds more.

    With `overlap_s` 0 all older keys are deleted at once, and tokens that they signed become invalid.
    The old public key is published as retired before the new one takes its place, so no reader misses it.
    """
    with exclusive(directory / "rotation.lock"):
        now = int(time.time())  # noqa: TID251 - as the times in tokens
        for path, _, until in _retired_files(directory):
            if until + SWEPT_AFTER_S <= now or not overlap_s:
                path.unlink()
        old = _read_private(directory / CURRENT).public_key()
        if overlap_s:
            replace(directory / f"retired-{key_id_of(old)}-{now + overlap_s}.pem", _public_pem(old))
        replace(directory / CURRENT, _private_pem(Ed25519PrivateKey.generate()))
        return _read(directory)


def key_id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _state_of(directory: Path) -> tuple[int, ...]:
    """A fingerprint that changes whenever a file is replaced, added or removed."""
    file, folder = (directory / CURRENT).stat(), directory.stat()
    return (file.st_ino, file.st_mtime_ns, folder.st_ino, folder.st_mtime_ns)


def _read(directory: Path) -> KeySet:
    """Read the private key first: if a rotation replaces it meanwhile, it is among the retired keys read next."""
    private = _read_private(directory / CURRENT)
    retired = (RetiredKey(key_id, _read_public(path), until) for path, key_id, until in _retired_files(directory))
    return KeySet(private, tuple(retired))


def _retired_files(directory: Path) -> Iterator[tuple[Path, str, int]]:
    for path in sorted(directory.glob("retired-*.pem")):
        named = _RETIRED.fullmatch(path.name)
        if named is not None:
            yield path, named[1], int(named[2])


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except ValueError as error:
        raise UnusableKeyFile(f"{path} is not a private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKeyFile(f"{path} is not an Ed25519 key")
    return key


def _read_public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise UnusableKeyFile(f"{path} is not a public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKeyFile(f"{path} is not an Ed25519 key")
    return key


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
