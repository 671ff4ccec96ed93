"""Secrets of endpoints and the signatures made with them, as the Standard Webhooks convention has both.

They are sealed by a key derived from FACE_SECRET_KEY, so that no copy of the database alone can sign. When that is
changed they cannot be read any more: nothing is sent unsigned, and each endpoint needs a new secret.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.secret import secret_key
from config.service import service_settings

PREFIX = "whsec_"
SECRET_BYTES = 32
_NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """The secret was sealed with another FACE_SECRET_KEY, or changed in the database."""


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def as_text(secret: bytes) -> str:
    """What a tenant is shown, once."""
    return PREFIX + base64.b64encode(secret).decode()


def seal(secret: bytes, bound_to: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, secret, bound_to.encode())


def unseal(sealed: bytes, bound_to: str) -> bytes:
    """Raises SecretUnreadable."""
    try:
        return _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise SecretUnreadable("the secret cannot be read: FACE_SECRET_KEY was changed; rotate the secret") from None


def signatures(keys: Sequence[bytes], message_id: str, timestamp: int, body: str) -> str:
    """The header's value: one signature for each secret, so that receivers may change theirs in their own time."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    made = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return " ".join(f"v1,{signature}" for signature in made)


def _cipher() -> AESGCM:
    return AESGCM(hmac.digest(secret_key(service_settings()).encode(), b"secrets of webhooks", "sha256"))
