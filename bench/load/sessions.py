"""Sources of socket paths for a load: sandboxes, or sessions that are created over HTTP."""

from __future__ import annotations

import itertools
import sys
import uuid
from types import TracebackType
from typing import Literal, Protocol, Self
from urllib.parse import urlsplit

from bench.load.frames import portraits, sources
from testkit import loopback
from testkit.service import LiveService
from testkit.stream_client import Liveness, ServiceClient, SessionKind

Kind = Literal["sandbox", "identification", "authentication", "enrollment"]

ENVIRONMENT = {
    "FACE_DUPLICATE_CHECK": "false",
    "FACE_ATTEMPTS_LIMIT": "1000",
    "FACE_IDENTIFICATION_FAILURES_PER_MIN": "10000",
}
"""Settings for few faces in many sessions: no duplicate check, and lockout limits out of reach."""


class Sessions(Protocol):
    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def open(self, slot: int, person: str) -> str:
        """The path of a new socket for client number `slot`, which shows `person`."""
        ...


class Sandboxes:
    """Sandbox sessions: nothing is stored, and no HTTP request is needed."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def open(self, slot: int, person: str) -> str:
        return sandbox_path(slot)


class StoredSessions:
    """Stored sessions of one kind. An enrolled subject is erased when its client opens the next session, so
    that the gallery does not grow. Raises ServiceError and httpx.TransportError.
    """

    def __init__(self, base_url: str, api_key: str, kind: SessionKind, liveness: Liveness) -> None:
        self._kind = kind
        self._liveness: Liveness = liveness
        self._service = ServiceClient(base_url, api_key, timeout_s=30.0)
        headers = {"authorization": f"Bearer {api_key}"}
        self._http = loopback.client(base_url=base_url, headers=headers, timeout=30.0)
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self._enrolled: dict[int, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._service.close()
        await self._http.aclose()

    async def open(self, slot: int, person: str) -> str:
        subject_id: str | None = None
        if self._kind == "authentication":
            subject_id = person
        elif self._kind == "enrollment":
            subject_id = await self._newcomer(slot)
        session = await self._service.create_session(self._kind, subject_id, self._liveness)
        return urlsplit(session.websocket_url).path

    async def _newcomer(self, slot: int) -> str:
        if (old := self._enrolled.pop(slot, None)) is not None:
            await self._http.delete(f"/api/v1/subjects/{old}/")
        new = self._enrolled[slot] = f"load-{self._run}-{next(self._numbers)}"
        return new


def sessions_of(base_url: str, api_key: str, kind: Kind, liveness: Liveness) -> Sessions:
    return Sandboxes() if kind == "sandbox" else StoredSessions(base_url, api_key, kind, liveness)


def sandbox_path(number: int) -> str:
    return f"/ws/auth/process-image/test_load_{number}/"


def enroll_people(service: LiveService) -> frozenset[str]:
    """Enrol the people of the clips under their names over HTTP; returns those enrolled, names the others on stderr."""
    enrolled: set[str] = set()
    headers = {"authorization": f"Bearer {service.api_key}"}
    with loopback.blocking_client(base_url=service.base_url, headers=headers, timeout=60.0) as http:
        for source in sources():
            if source.person in enrolled:
                continue
            files = [("images", (f"{i}.jpg", image, "image/jpeg")) for i, image in enumerate(portraits(source.path))]
            response = http.post(f"/api/v1/subjects/{source.person}/templates/", files=files)
            if response.is_success:
                enrolled.add(source.person)
            else:
                print(f"{source.person} was not enrolled: {response.text[:200]}", file=sys.stderr)
    return frozenset(enrolled)
