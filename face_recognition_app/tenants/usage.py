"""Time of the last use of each API key. Requests note it; a periodic job writes it to the database."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from tenants.models import ApiKey

GRANULARITY = timedelta(minutes=1)


class KeyUses:
    """Unwritten uses of one worker. A note costs no query; a note that cannot be written is made again at next use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used_at: dict[int, datetime] = {}

    def note(self, key: ApiKey) -> None:
        now = timezone.now()
        if key.last_used_at is None or now - key.last_used_at >= GRANULARITY:
            with self._lock:
                self._used_at[key.pk] = now

    def write(self) -> int:
        """Write the notes since the last call. Returns the number of keys."""
        with self._lock:
            noted, self._used_at = self._used_at, {}
        for primary_key, at in noted.items():
            not_later = Q(last_used_at=None) | Q(last_used_at__lt=at)
            ApiKey.objects.filter(not_later, pk=primary_key).update(last_used_at=at)
        return len(noted)


key_uses = KeyUses()
