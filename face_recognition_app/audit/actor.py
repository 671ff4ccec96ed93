"""The actor of what is recorded, which the context of a request, a socket or a command carries."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from vocabulary.audit import ActorKind


@dataclass(frozen=True, slots=True)
class Actor:
    """`reference`: id of the key or session, or name of the command. `name`: beginning and name of the key, or the
    operating system's user; empty for the others."""

    kind: ActorKind
    reference: str = ""
    name: str = ""

    @property
    def origin(self) -> str:
        """What tells a key, with its access tokens, from another and from other kinds of actors."""
        return self.reference if self.kind in (ActorKind.KEY, ActorKind.TOKEN) else self.kind.value


SERVICE = Actor(ActorKind.SERVICE)
VISITOR = Actor(ActorKind.VISITOR)
current: ContextVar[Actor] = ContextVar("actor", default=SERVICE)


def client_of(session_id: object) -> Actor:
    """The client that holds the token of a session."""
    return Actor(ActorKind.SESSION, str(session_id))


def of_command(name: str) -> Actor:
    """The user of this process, by the system's account and not by a variable of the environment."""
    user_id = os.getuid()
    try:
        user = pwd.getpwuid(user_id).pw_name
    except KeyError:
        user = str(user_id)
    return Actor(ActorKind.COMMAND, name, user)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    before = current.set(actor)
    try:
        yield
    finally:
        current.reset(before)
