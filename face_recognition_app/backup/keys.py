"""The key of backups: from the settings, or a passphrase that somebody types."""

from __future__ import annotations

import getpass
import sys

from backup.errors import NoKey
from config.given_keys import UnusableKey, decoded, in_file
from config.settings import Settings

LEAST_PASSPHRASE = 16
_NO_KEY = (
    "a backup has faces and keys, so it is encrypted: set FACE_BACKUP_KEY or FACE_BACKUP_KEY_FILE "
    "(openssl rand -base64 32) and keep the key apart from the backups, or ask for --passphrase"
)


def given_key(settings: Settings, *, passphrase: bool, is_new: bool) -> bytes | str:
    """The key, or a passphrase from the terminal; typed twice when it is new, and read from a line of standard input
    where that is no terminal. Raises NoKey."""
    if passphrase:
        return _typed(is_new)
    try:
        if settings.backup_key:
            return _one(decoded(settings.backup_key.split(","), "FACE_BACKUP_KEY"))
        if settings.backup_key_file is not None:
            return _one(in_file(settings.backup_key_file, "FACE_BACKUP_KEY_FILE"))
    except UnusableKey as error:
        raise NoKey(str(error)) from error
    raise NoKey(_NO_KEY)


def _one(keys: list[bytes]) -> bytes:
    if len(keys) > 1:
        raise NoKey("a backup has one key, and several were given")
    return keys[0]


def _typed(is_new: bool) -> str:
    if not sys.stdin.isatty():
        typed = sys.stdin.readline().rstrip("\n")
    else:
        typed = getpass.getpass("Passphrase: ")
        if is_new and getpass.getpass("Again: ") != typed:
            raise NoKey("the two passphrases differ")
    if is_new and len(typed) < LEAST_PASSPHRASE:
        raise NoKey(f"a passphrase has {LEAST_PASSPHRASE} characters or more, such as six random words")
    return typed
