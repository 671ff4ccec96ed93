"""Backends of customers, for Locust: each asks the REST API without a pause.

    LOAD_API_KEY=... locust -f bench/load/suite/locustfile.py --headless --users 100 --run-time 10s --host http://127.0.0.1:8003

Any host that is not this machine is refused before the first request.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, events, task


@events.test_start.add_listener
def refuse_other_machines(environment: Any, **_: Any) -> None:
    """Raises SystemExit, which ends Locust, unless the host is an address of the loopback device."""
    host = urlsplit(environment.host or "").hostname or ""
    try:
        own = ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own:
        raise SystemExit(
            f"--host must be an address of this machine, as http://127.0.0.1:8003, not {environment.host!r}"
        )


class Backend(FastHttpUser):
    """Opens sessions and looks at them, lists people, and fetches the keys of decisions."""

    default_headers = {"Authorization": f"Bearer {os.environ.get('LOAD_API_KEY', '')}"}
    session = ""

    @task(4)
    def list_people(self) -> None:
        self.client.get("/api/v1/subjects/?limit=10", name="list people")

    @task(3)
    def look_at_the_session(self) -> None:
        if not self.session:
            self.open_a_session()
        else:
            self.client.get(f"/api/v1/sessions/{self.session}/", name="look at a session")

    @task(2)
    def open_a_session(self) -> None:
        wanted = {"kind": "identification", "liveness": "none"}
        answer = self.client.post("/api/v1/sessions/", json=wanted, name="open a session")
        if answer.status_code == 201:
            self.session = answer.json()["id"]

    @task(1)
    def fetch_the_keys(self) -> None:
        self.client.get("/.well-known/jwks.json", name="fetch the keys")
