"""Since when tokens are signed with the present key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recognition.tokens.signing_keys import CURRENT


class SigningKeyCollector(Collector):
    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "keys" / CURRENT

    def collect(self) -> Iterator[Metric]:
        if self._file.exists():
            meaning = "When the key that signs decisions was made, in seconds since 1970."
            made_at = self._file.stat().st_mtime
            yield GaugeMetricFamily("face_signing_key_created_timestamp_seconds", meaning, made_at)
