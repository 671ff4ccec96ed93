"""What Gunicorn's master and its workers have in common: how many there should be, and why some ended."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.roster import EndReason, Roster


class RosterCollector(Collector):
    """Nothing where the server is not Gunicorn."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def collect(self) -> Iterator[Metric]:
        if not self._roster.wanted:
            return
        yield GaugeMetricFamily("face_workers_wanted", "Workers that there should be.", self._roster.wanted)
        ended = CounterMetricFamily("face_workers_ended", "Workers that ended, by reason.", labels=["reason"])
        for reason in EndReason:
            if reason is not EndReason.NONE:
                ended.add_metric([reason.name.lower()], self._roster.ended(reason))
        yield ended
