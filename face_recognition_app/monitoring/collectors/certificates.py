"""When the certificate of the public address expires."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from logs.advice import warn_once

logger = logging.getLogger(__name__)


class CertificateCollector(Collector):
    """Of the first certificate in `file`; NaN for one that cannot be read, None for none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def collect(self) -> Iterator[Metric]:
        if self._file is not None:
            meaning = "When the certificate in FACE_TLS_CERTIFICATE expires, in seconds since 1970."
            yield GaugeMetricFamily("face_tls_certificate_expires_timestamp_seconds", meaning, _expiry(self._file))


def _expiry(file: Path) -> float:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        warn_once(logger, "the certificate in FACE_TLS_CERTIFICATE cannot be read")
        return float("nan")
