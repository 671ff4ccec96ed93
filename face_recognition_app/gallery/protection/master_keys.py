"""Master keys, which wrap the secrets of tenants. They are kept outside of the database."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.given_keys import KEY_BYTES, UnusableKey, decoded, in_file
from config.secret import secret_key, without_secrets
from config.settings import Settings
from gallery.protection.errors import MasterKeyError

NONCE_BYTES = 12
COMMAND_TIMEOUT_S = 10.0


class MasterKey:
    """One key of AES-256-GCM. `id`: 16 hexadecimal digits derived from it, which tell nothing about it."""

    def __init__(self, key: bytes) -> None:
        self.id = derive(key, "id of a master key", 8).hex()
        self._cipher = AESGCM(derive(key, "wrapping by a master key"))

    def wrap(self, secret: bytes, bound_to: bytes) -> bytes:
        """Encrypt a secret; `unwrap` needs the same `bound_to`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes | None:
        """The secret; None when `wrapped` was changed or is bound to something else."""
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            return None


class MasterKeys:
    """The newest key wraps; the others only unwrap what they have wrapped."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        made = [MasterKey(key) for key in keys]
        self.newest = made[0]
        self.by_id: Mapping[str, MasterKey] = {key.id: key for key in made}

    @classmethod
    def load(cls, settings: Settings) -> MasterKeys:
        """Read the keys that the settings name. Raises MasterKeyError.

        The last one is always the key derived from FACE_SECRET_KEY: it wraps while no other is set, and what it has
        wrapped stays readable when one is.
        """
        derived = derive(secret_key(settings).encode(), "master key of templates")
        return cls([*_given(settings), derived])


def derive(key: bytes, label: str, length: int = KEY_BYTES) -> bytes:
    """A key for one purpose, by HKDF with SHA-256; keys of different labels tell nothing about each other."""
    return HKDF(SHA256(), length, salt=None, info=f"face service: {label}".encode()).derive(key)


def _given(settings: Settings) -> list[bytes]:
    try:
        if settings.template_key:
            return decoded(settings.template_key.split(","), "FACE_TEMPLATE_KEY")
        if settings.template_key_file is not None:
            return in_file(settings.template_key_file, "FACE_TEMPLATE_KEY_FILE")
        if settings.template_key_command:
            return decoded(_printed_by(settings.template_key_command).split(), "FACE_TEMPLATE_KEY_COMMAND")
    except UnusableKey as error:
        raise MasterKeyError(str(error)) from error
    return []


def _printed_by(command: str) -> str:
    """What the command prints. It gets the environment without the service's own secrets."""
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            env=without_secrets(os.environ),
            check=False,
        )
        printed = done.stdout.decode("ascii")
    except subprocess.TimeoutExpired:
        raise MasterKeyError(f"FACE_TEMPLATE_KEY_COMMAND printed no key in {COMMAND_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise MasterKeyError(f"FACE_TEMPLATE_KEY_COMMAND cannot be run: {error.strerror}") from None
    except ValueError:
        raise MasterKeyError("FACE_TEMPLATE_KEY_COMMAND is no command, or prints no base64") from None
    if done.returncode:
        raise MasterKeyError(f"FACE_TEMPLATE_KEY_COMMAND failed with status {done.returncode}")
    return printed
