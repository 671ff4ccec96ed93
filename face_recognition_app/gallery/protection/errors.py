"""Errors of keys and of what they protect.

MasterKeyError     at start: a master key is missing, malformed, or not the one that wrapped a tenant's secret
KeysUnavailable    in use: a secret is gone or cannot be unwrapped; an Unavailable, so clients may come again
└── SecretGone     the secret was deleted: what it has protected is erased for good
Tampered           something stored was changed, or belongs to another tenant, model or place
"""

from __future__ import annotations

from functools import lru_cache
from logging import getLogger

from database.outages import RETRY_AFTER_MS
from wire.errors import Unavailable

logger = getLogger(__name__)


class MasterKeyError(Exception):
    """The message says what to do. It never contains a key."""


class KeysUnavailable(Unavailable):
    """Clients are told that templates cannot be read now; `str()` and the log say why."""

    def __init__(self, reason: str) -> None:
        super().__init__("the templates cannot be read now", RETRY_AFTER_MS)
        self.reason = reason
        _log(reason)

    def __str__(self) -> str:
        return self.reason


class SecretGone(KeysUnavailable):
    pass


class Tampered(ValueError):
    pass


@lru_cache(maxsize=1_024)
def _log(reason: str) -> None:
    """Log each reason once in a process, since every request may fail for it."""
    logger.error("%s", reason)
