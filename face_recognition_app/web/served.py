"""The number of requests that this process has served, by which it can be replaced."""

from __future__ import annotations

STATE_KEY = "served_requests"
"""In the lifespan's state: the application counts there, and the server reads."""


class ServedRequests:
    """Requests to the application. Probes are not counted: they come at any load, and cost nothing."""

    def __init__(self) -> None:
        self.total = 0
