"""The service as one tenant uses it, by a client that leaves the cores to the service.

Keep-alive connections of the standard library, one a thread: a request costs a third of the CPU time that httpx takes.
"""

from __future__ import annotations

import select
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from testkit.patience import PATIENCE_S

BOUNDARY = "picture-in-a-form"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Door:
    """Thread-safe. `key`: an API key of the tenant."""

    def __init__(self, base_url: str, key: str) -> None:
        self._address = urlsplit(base_url)
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        self._of_thread = threading.local()

    def enrol(self, subject: str, picture: bytes) -> None:
        """Enrol one person, and accept the refusal of a double. Raises RuntimeError for any other answer.

        The threshold for doubles rises with the gallery, so the same people in another order may have one.
        """
        answer = self.ask_to_enrol(subject, picture)
        if answer.status != 201 and '"duplicate_face"' not in answer.text:
            raise RuntimeError(f"an enrolment was answered with {answer.status}: {answer.text}")

    def ask_to_enrol(self, subject: str, picture: bytes) -> Answer:
        return self._post(f"/api/v1/subjects/{subject}/templates/", form("images", picture))

    def search(self, picture: bytes) -> None:
        """Wait for a gallery that is being prepared."""
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self._post("/api/v1/faces/search/", form("image", picture))).status != 200:
            if answer.status != 503 or time.monotonic() > deadline:
                raise RuntimeError(f"a search was answered with {answer.status}: {answer.text}")

    def _post(self, path: str, body: bytes) -> Answer:
        connection = self._connection()
        connection.request("POST", path, body, self._headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())

    def _connection(self) -> HTTPConnection:
        """This thread's connection, anew when the service has closed it."""
        found: HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = HTTPConnection(self._address.hostname or "", self._address.port, timeout=PATIENCE_S)
            self._of_thread.connection = found
        if found.sock is not None and select.select([found.sock], [], [], 0)[0]:
            found.close()
        return found


def form(field: str, picture: bytes) -> bytes:
    """A multipart body with one picture."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="face.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
