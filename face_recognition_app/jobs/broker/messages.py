"""What goes through the broker: the id of a job, in Celery's envelope. Anything else that is found in a queue becomes a
dead letter, where Celery's transport would end the worker."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

RUN_TASK = "jobs.run"
UNREADABLE_TASK = "jobs.unreadable"
MAX_KEPT_BYTES = 10_000


def reading(loads: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`loads` of the transport, which returns a call of UNREADABLE_TASK for what is no message of ours."""

    def guarded(text: Any) -> Any:
        try:
            found = loads(text)
        except ValueError:
            return _unreadable(text)
        return found if _is_control(found) or _job_of(found) is not None else _unreadable(text)

    return guarded


def _is_control(found: Any) -> bool:
    """Whether it is a part of Celery's remote control, or of what the transport keeps for itself."""
    if isinstance(found, list):
        return True
    try:
        return "pidbox" in found["properties"]["delivery_info"]["exchange"]
    except (KeyError, TypeError):
        return False


def job_in(raw: bytes) -> int | None:
    """The job that a message names; None for what is no message of ours."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return _job_of(found)


def _job_of(found: Any) -> int | None:
    try:
        arguments = json.loads(base64.b64decode(found["body"], validate=True))[0]
        known = found["headers"]["task"] == RUN_TASK and isinstance(found["headers"]["id"], str)
        properties = found["properties"]
        delivered = isinstance(properties["delivery_tag"], str) and isinstance(properties["delivery_info"], dict)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return arguments[0] if known and delivered and len(arguments) == 1 and type(arguments[0]) is int else None


def _unreadable(text: Any) -> dict[str, Any]:
    raw = text if isinstance(text, bytes) else str(text).encode()
    return _envelope(UNREADABLE_TASK, base64.b64encode(raw[:MAX_KEPT_BYTES]).decode(), "")


def message_for(job_pk: int, queue: str) -> str:
    """What is to be put into the queue."""
    return json.dumps(_envelope(RUN_TASK, job_pk, queue))


def _envelope(task: str, argument: int | str, queue: str) -> dict[str, Any]:
    """A call in version 2 of Celery's message protocol, as its Redis transport keeps it in a list."""
    call_id = str(uuid.uuid4())
    return {
        "body": base64.b64encode(json.dumps([[argument], {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": call_id, "root_id": call_id, "ignore_result": True},
        "properties": {
            "correlation_id": call_id,
            "body_encoding": "base64",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid.uuid4()),
            "priority": 0,
        },
    }
