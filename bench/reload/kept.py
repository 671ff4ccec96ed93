"""What the service keeps of the sessions of a run, against what their clients were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlencode

from bench.reload.people import SAMPLES
from testkit.service import LiveService


def mistakes(service: LiveService, sessions: Iterable[str], enrolled: Iterable[str]) -> list[str]:
    """A sentence for each session that was not decided exactly once, and for each enrolment of a wrong size."""
    decisions = _decisions(service)
    found = [f"session {one} was decided {decisions[one]} times" for one in sessions if decisions[one] != 1]
    for subject in enrolled:
        stored = len(service.get(f"/api/v1/subjects/{subject}/templates/?limit=100").json()["items"])
        if stored != SAMPLES:
            found.append(f"{subject} has {stored} templates of {SAMPLES} samples")
    return found


def _decisions(service: LiveService) -> Counter[str]:
    """Entries of the audit trail by session."""
    found: Counter[str] = Counter()
    query = {"kind": "decided", "limit": "100"}
    while True:
        page = service.get(f"/api/v1/audit/?{urlencode(query)}").json()
        found.update(entry["details"]["session"] for entry in page["items"])
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
