"""A session's state as text, from which a worker of this or of a newer version can go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from database.outages import RETRY_AFTER_MS
from recognition.sessions.state import Flow
from wire.errors import Unavailable

State = dict[str, Any]

VERSION = 3
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


_STEPS: tuple[Callable[[State], State], ...] = (_from_0, _from_1, _from_2)
"""Steps that turn a state of version 0, 1, ... into one of the next version."""

_FLOW: TypeAdapter[Flow] = TypeAdapter(Flow)


class NewerCheckpoint(Unavailable):
    """A newer version of the service wrote the checkpoint, and only a worker of that version can read all of it."""

    def __init__(self, version: int) -> None:
        super().__init__("another worker must go on with this session", RETRY_AFTER_MS)
        self.version = version

    def __str__(self) -> str:
        return f"the checkpoint is of version {self.version}, this worker reads up to {VERSION}"


def dump(flow: Flow) -> str:
    state = _FLOW.dump_json(flow).decode()
    return f'{{"version":{VERSION},{state[1:]}'


def load(text: str) -> Flow:
    """Read a checkpoint of this or an older version.

    Raises NewerCheckpoint, and ValueError for any other text it cannot read, above all for one with a field that its
    version does not have: ignoring the field would lose evidence.
    """
    state = from_json(text)
    if not isinstance(state, dict):
        raise ValueError("a checkpoint is a JSON object")
    version = state.pop("version", 0)
    if type(version) is not int or version < 0:
        raise ValueError(f"{version!r} is no version of a checkpoint")
    if version > VERSION:
        raise NewerCheckpoint(version)
    for step in _STEPS[version:]:
        state = step(state)
    return _FLOW.validate_python(state)
