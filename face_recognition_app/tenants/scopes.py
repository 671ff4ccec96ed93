"""Scopes of API keys."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """`ADMIN` manages the tenant's keys, and stands for every other scope: it could issue itself a key with them."""

    SESSIONS = "sessions"
    SUBJECTS = "subjects"
    FACES = "faces"
    READ = "read"
    ADMIN = "admin"


def read_scopes(stored: Iterable[str]) -> frozenset[Scope]:
    """The scopes with these names; a name that this version does not know opens nothing."""
    names = frozenset(stored)
    return frozenset(scope for scope in Scope if scope in names)


def opened_by(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Everything that a key with these scopes may do."""
    held = frozenset(scopes)
    return frozenset(Scope) if Scope.ADMIN in held else held


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """Sort scopes into the one order in which they are shown."""
    held = frozenset(scopes)
    return [scope for scope in Scope if scope in held]
