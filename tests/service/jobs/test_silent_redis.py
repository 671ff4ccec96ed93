"""A service whose Redis has fallen silent goes on accepting jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from testkit import loopback
from testkit.browsers.link import Link
from testkit.job_site import wait_for
from testkit.patience import PATIENCE_S
from testkit.servers import Redis
from testkit.service import LiveService, running_service

AT_ONCE = 24
"""More than the threads for database calls could take, one after the other, if each waited for Redis."""


def ask(service: LiveService) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    return loopback.post(f"{service.base_url}/api/v1/jobs/", json={"type": "noop"}, headers=headers, timeout=PATIENCE_S)


def have_succeeded(service: LiveService, wanted: set[str]) -> bool:
    page = service.get("/api/v1/jobs/?status=succeeded&limit=100").json()
    return {job["id"] for job in page["items"]} >= wanted


def test_jobs_that_are_asked_for_together_are_accepted_and_done_later(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    try:
        with Link(server.port) as link:
            variables = {
                "REDIS_URL": f"redis://127.0.0.1:{link.port}/0",
                "ENABLE_BACKGROUND_TASKS": "true",
                "WORKER_CONCURRENCY": "1",
            }
            with running_service(tmp_path, workers=1, pool_size=1, environment=variables) as service:
                link.silence()
                with ThreadPoolExecutor(AT_ONCE) as threads:
                    answers = list(threads.map(lambda _: ask(service), range(AT_ONCE)))
                assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
                link.resume()
                wanted = {answer.json()["id"] for answer in answers}
                wait_for(lambda: have_succeeded(service, wanted), "every job has been done")
    finally:
        server.stop()
