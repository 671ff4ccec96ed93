"""Many who write at once, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.servers import database_server
from testkit.service import running_service

WRITERS, EACH = 20, 10


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_twenty_at_once_are_all_answered_and_all_stored(database: str, tmp_path: Path) -> None:
    with (
        database_server(database) as url,
        running_service(tmp_path, workers=2, pool_size=1, environment={"DATABASE_URL": url}) as service,
        loopback.blocking_client(
            base_url=service.base_url, headers={"authorization": f"Bearer {service.api_key}"}, timeout=PATIENCE_S
        ) as http,
    ):

        def write(writer: int) -> list[int]:
            people = [{"subject_id": f"of-{writer}-{number}"} for number in range(EACH)]
            return [http.post("/api/v1/subjects/", json=person).status_code for person in people]

        with ThreadPoolExecutor(WRITERS) as threads:
            answers = list(threads.map(write, range(WRITERS)))
        assert answers == [[201] * EACH] * WRITERS
        stored, cursor = 0, ""
        while cursor is not None:
            page = http.get("/api/v1/subjects/", params={"limit": 100, "cursor": cursor}).json()
            stored, cursor = stored + len(page["items"]), page["next_cursor"]
        assert stored == WRITERS * EACH
