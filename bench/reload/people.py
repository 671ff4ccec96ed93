"""People before cameras, whose sessions are followed from their creation to what is stored of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from config.settings import REPOSITORY
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import RgbImage
from testkit.clips import GridClip, astronaut, encode_jpeg, read_clip
from testkit.faces.expressions import Action
from testkit.faces.performer import Performer, filmed
from testkit.stream_client import CreatedSession, Message, ServiceClient

EVERY = 2
"""Every so many frames one is sent: at four of a clip's 25 a second, slow movements delay liveness."""
SAMPLES = 10
_PERFORMED_FPS = 10.0


class Person(Protocol):
    async def begin(self, client: ServiceClient) -> CreatedSession:
        """Raises what ServiceClient does."""
        ...

    def frames(self) -> Iterator[bytes]:
        """What the camera of one session sees, without an end."""
        ...

    def told(self, message: Message) -> None: ...


@dataclass(slots=True)
class Filmed:
    """Authenticates with a recorded clip, under passive liveness."""

    subject: str
    clip: Sequence[bytes]

    @classmethod
    def of(cls, clip: GridClip) -> Filmed:
        return cls(clip.speaker, [encode_jpeg(frame) for frame in read_clip(clip.path)][::EVERY])

    async def begin(self, client: ServiceClient) -> CreatedSession:
        return await client.create_session("authentication", self.subject, "passive")

    def frames(self) -> Iterator[bytes]:
        return itertools.cycle(self.clip)

    def told(self, message: Message) -> None:
        pass


@dataclass(slots=True)
class Performing:
    """Enrols anew each time under active liveness, and shows the step that the service waits for until it is done."""

    name: str
    performer: Performer
    enrolled: int = 0
    _step: Action | None = field(default=None, init=False)

    async def begin(self, client: ServiceClient) -> CreatedSession:
        self.enrolled += 1
        self._step = None
        return await client.create_session("enrollment", self.subject, "active", target_samples=SAMPLES)

    @property
    def subject(self) -> str:
        return f"{self.name}-{self.enrolled}"

    def frames(self) -> Iterator[bytes]:
        return filmed(frame for take in self._takes() for frame in take)

    def _takes(self) -> Iterator[Sequence[RgbImage]]:
        while True:
            yield (self.performer.rest if self._step is None else self.performer.takes[self._step])[::EVERY]

    def told(self, message: Message) -> None:
        if (liveness := message.get("liveness")) is not None and message["type"] == "frame_processed":
            self._step = liveness["step"]


def rehearsed() -> Performer:
    mesh = MediaPipeFaceMesh(REPOSITORY / "var" / "models" / "face_landmarker.task")
    try:
        return Performer.rehearse(astronaut(), mesh, _PERFORMED_FPS)
    finally:
        mesh.close()
