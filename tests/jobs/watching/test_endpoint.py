from __future__ import annotations

import pytest

from jobs.watching.endpoint import BadAddress, Endpoint
from testkit import loopback


def test_health_says_what_is_wrong() -> None:
    problems = ["", "stalled"]
    endpoint = Endpoint(("127.0.0.1", 0), lambda: problems.pop(0))
    try:
        url = f"http://127.0.0.1:{endpoint.address[1]}"
        answers = [loopback.get(f"{url}/health", timeout=10) for _ in range(2)]
        assert [(one.status_code, one.json()["status"]) for one in answers] == [(200, "ok"), (503, "stalled")]
        assert loopback.get(f"{url}/other", timeout=10).status_code == 404
        assert "process_cpu_seconds_total" in loopback.get(f"{url}/metrics", timeout=10).text
    finally:
        endpoint.close()


def test_an_address_that_is_taken_is_named() -> None:
    first = Endpoint(("127.0.0.1", 0), lambda: "")
    try:
        with pytest.raises(BadAddress, match=f"JOB_METRICS_BIND=127.0.0.1:{first.address[1]}: Address already in use"):
            Endpoint(("127.0.0.1", int(first.address[1])), lambda: "")
    finally:
        first.close()
