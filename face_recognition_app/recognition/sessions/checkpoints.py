"""A session's state as text, from which a worker of this or of a newer version can go on.

In the session's row the text is sealed with the tenant's secret, since it has embeddings and pictures in it.
Only who the session is about stays readable, so that an erasure finds it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from database.outages import RETRY_AFTER_MS
from gallery.protection import TemplateProtection
from gallery.protection.errors import KeysUnavailable
from recognition.models import Session
from recognition.sessions.state import Flow
from wire.errors import Unavailable

State = dict[str, Any]

VERSION = 5
"""Version of the text's shape. A change of Flow or of any part of it needs a new version and a step from the last."""


def _from_0(state: State) -> State:
    """Change nothing: release 0.1.0 wrote the same fields, and no version."""
    return state


def _from_1(state: State) -> State:
    """Change nothing: what version 2 has besides begins as it does in a new session."""
    return state


def _from_2(state: State) -> State:
    """Change nothing, likewise."""
    return state


def _from_3(state: State) -> State:
    """Change nothing: up to version 3 the text was stored as it is."""
    return state


def _from_4(state: State) -> State:
    """Change nothing: up to version 4 samples had no pictures, and there was one embedder, which had no name."""
    return state


_STEPS: tuple[Callable[[State], State], ...] = (_from_0, _from_1, _from_2, _from_3, _from_4)
"""Steps that turn a state of version 0, 1, ... into one of the next version."""

_FIRST_SEALED = 4

_FLOW: TypeAdapter[Flow] = TypeAdapter(Flow)


class UnreadableHere(Unavailable):
    """This worker cannot read the checkpoint, and another may."""


class SealedCheckpoint(UnreadableHere):
    """The tenant's secret that sealed the checkpoint is gone, or this worker has not its master key."""

    def __init__(self, reason: str) -> None:
        super().__init__("the session cannot be read now", RETRY_AFTER_MS)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NewerCheckpoint(UnreadableHere):
    """A newer version of the service wrote the checkpoint, and only a worker of that version can read all of it."""

    def __init__(self, version: int) -> None:
        super().__init__("another worker must go on with this session", RETRY_AFTER_MS)
        self.version = version

    def __str__(self) -> str:
        return f"the checkpoint is of version {self.version}, this worker reads up to {VERSION}"


def write(flow: Flow, session: Session, protection: TemplateProtection) -> str:
    """The checkpoint for the session's row. Raises KeysUnavailable."""
    sealed = protection.seal(dump(flow).encode(), session.tenant, _place(session))
    about = {flow.subject_id, *(match.subject_id for match in (flow.match, flow.nearest) if match is not None)}
    subjects = ",".join(f'{{"subject_id":{json.dumps(name)}}}' for name in sorted(about - {None}, key=str))
    return f'{{"version":{VERSION},"about":[{subjects}],"sealed":"{b64encode(sealed).decode()}"}}'


def read(session: Session, protection: TemplateProtection) -> Flow:
    """Read the checkpoint in the session's row, also one of an older version that did not seal it.

    Raises what `load` raises, and SealedCheckpoint.
    """
    outer = _state(session.checkpoint)
    if _version(outer) < _FIRST_SEALED:
        return load(session.checkpoint)
    try:
        sealed = b64decode(outer["sealed"], validate=True)
        text = protection.unseal(sealed, session.tenant, _place(session)).decode()
    except (KeyError, TypeError) as error:
        raise ValueError("a checkpoint of this version is sealed") from error
    except KeysUnavailable as error:
        raise SealedCheckpoint(str(error)) from error
    return load(text)


def _place(session: Session) -> str:
    return f"checkpoint of session {session.pk}"


def dump(flow: Flow) -> str:
    state = _FLOW.dump_json(flow).decode()
    return f'{{"version":{VERSION},{state[1:]}'


def load(text: str) -> Flow:
    """Read a checkpoint of this or an older version.

    Raises NewerCheckpoint, and ValueError for any other text it cannot read, above all for one with a field that its
    version does not have: ignoring the field would lose evidence.
    """
    state = _state(text)
    version = _version(state)
    state.pop("version", None)
    for step in _STEPS[version:]:
        state = step(state)
    return _FLOW.validate_python(state)


def _state(text: str) -> State:
    state = from_json(text)
    if not isinstance(state, dict):
        raise ValueError("a checkpoint is a JSON object")
    return state


def _version(state: State) -> int:
    """Raises NewerCheckpoint, and ValueError for what is no version."""
    version = state.get("version", 0)
    if type(version) is not int or version < 0:
        raise ValueError(f"{version!r} is no version of a checkpoint")
    if version > VERSION:
        raise NewerCheckpoint(version)
    return version
