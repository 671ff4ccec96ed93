"""Time of the last use of each API key. Requests note it; a periodic job writes it to the database."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from django.db.models import Q

from database import clock
from tenants.models import ApiKey

GRANULARITY = timedelta(minutes=1)


class KeyUses:
    """Unwritten uses of one worker. A note costs no query; a note that cannot be written is made again at next use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used_s: dict[int, float] = {}
        """Time of the last use by primary key, in seconds of the monotonic clock."""

    def note(self, key: ApiKey) -> None:
        with self._lock:
            self._used_s[key.pk] = time.monotonic()

    def write(self) -> int:
        """Write the notes since the last call, each key's once in GRANULARITY. Returns the number of keys written."""
        with self._lock:
            noted, self._used_s = self._used_s, {}
        if not noted:
            return 0
        now, now_s = clock.now(), time.monotonic()
        written = ApiKey.across_tenants.filter(pk__in=noted).values_list("pk", "last_used_at")
        count = 0
        for primary_key, written_at in written:
            used_at = now - timedelta(seconds=now_s - noted[primary_key])
            if written_at is None or used_at - written_at >= GRANULARITY:
                # Compared again: another worker may have written a later use.
                not_later = Q(last_used_at=None) | Q(last_used_at__lt=used_at)
                count += ApiKey.across_tenants.filter(not_later, pk=primary_key).update(last_used_at=used_at)
        return count


key_uses = KeyUses()
