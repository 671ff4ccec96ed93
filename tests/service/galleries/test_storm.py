"""Whoever was enrolled is found by every worker at once, and whoever was erased by none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from testkit import loopback
from testkit.clips import SHARED_DATA
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service

WORKERS = 4
CLIENTS = 4
LOOKS = 3
"""Searches after each change, each over a connection of its own, so that any worker answers."""
STORM_S = float(os.environ.get("STORM_S") or 12)
"""How long the storm lasts; STORM_S=60 by hand."""
PICTURES = SHARED_DATA / "lfw" / "images"


@pytest.fixture(scope="module", params=["exact", "usearch"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    environment = {"FACE_GALLERY_STORE": request.param, "FACE_ADMISSION_TIMEOUT_MS": "60000"}
    directory = tmp_path_factory.mktemp(request.param)
    with running_service(directory, workers=WORKERS, pool_size=1, environment=environment) as service:
        yield service


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the shared pictures are not here")
def test_a_storm_of_enrolments_searches_and_deletions_gets_no_stale_answer(service: LiveService) -> None:
    over = time.monotonic() + STORM_S
    with ThreadPoolExecutor(CLIENTS) as clients:
        storms = [clients.submit(Storm(service, picture, over).run) for picture in pictures(CLIENTS)]
        changes = [storm.result(STORM_S + 4 * PATIENCE_S) for storm in storms]
    assert min(changes) > 0, "each client has made changes"
    assert "Traceback" not in service.log.read_text()


class Storm:
    """One client with a face of its own: enrols, looks, erases and looks again, until its time is over."""

    def __init__(self, service: LiveService, picture: Path, over: float) -> None:
        self._service = service
        self._picture = picture.read_bytes()
        self._name = picture.parent.name
        self._over = over
        self._workers: set[int] = set()

    def run(self) -> int:
        turn = 0
        while turn == 0 or time.monotonic() < self._over:
            name = f"{self._name}-{turn}"
            enrolled = self._ask("POST", f"/api/v1/subjects/{name}/templates/", "images")
            assert enrolled.json()["rejected"] == [], enrolled.text
            for _ in range(LOOKS):
                assert self._found() == [name], "somebody who was enrolled"
            assert self._ask("DELETE", f"/api/v1/subjects/{name}/").status_code == 204
            for _ in range(LOOKS):
                assert self._found() == [], "somebody who was erased"
            turn += 1
        return turn

    def _found(self) -> list[str]:
        answer = self._ask("POST", "/api/v1/faces/search/", "image")
        assert answer.status_code == 200, answer.text
        names = [match["subject_id"] for match in answer.json()["matches"]]
        return [name for name in names if name.startswith(self._name)]

    def _ask(self, method: str, path: str, field: str | None = None) -> httpx.Response:
        """One request over a connection of its own; one that is told to wait is made again."""
        give_up = time.monotonic() + 2 * PATIENCE_S
        while True:
            with loopback.blocking_client(base_url=self._service.base_url, timeout=PATIENCE_S) as client:
                answer = client.request(
                    method,
                    path,
                    files={field: ("face.jpg", self._picture, "image/jpeg")} if field else None,
                    headers={"Authorization": f"Bearer {self._service.api_key}"},
                )
            if answer.status_code not in (429, 503) or time.monotonic() > give_up:
                return answer
            threading.Event().wait(answer.json()["error"]["details"]["retry_after_ms"] / 1000)


def pictures(number: int) -> list[Path]:
    """One picture of each of several people."""
    people = [folder for folder in sorted(PICTURES.iterdir()) if folder.is_dir()]
    return [next(iter(sorted(folder.glob("*.jpg")))) for folder in people[:number]]
