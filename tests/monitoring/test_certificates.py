from __future__ import annotations

import math
from pathlib import Path

import pytest
from cryptography import x509

from monitoring.collectors.certificates import CertificateCollector
from testkit.receivers import write_certificate


def expiry(file: Path | None) -> list[float]:
    return [sample.value for family in CertificateCollector(file).collect() for sample in family.samples]


def test_the_expiry_is_that_of_the_certificate_as_it_is_now(tmp_path: Path) -> None:
    file = write_certificate(tmp_path / "face.pem", "localhost")
    expected = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.timestamp()
    assert expiry(file) == [expected]


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"])
def test_one_that_cannot_be_read_is_no_number_and_no_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "face.pem"
    if content is not None:
        file.write_bytes(content)
    (value,) = expiry(file)
    assert math.isnan(value)


def test_without_one_there_is_no_metric() -> None:
    assert expiry(None) == []
