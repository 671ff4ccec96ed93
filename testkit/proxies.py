"""A real nginx before a service, started for a test and ended afterwards."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testkit.patience import PATIENCE_S

_PROCESSES = 2
_LEAVES = "gracefully shutting down"
"""What each process of nginx logs when a reload replaces it."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate and its key, as files."""

    certificate: Path
    key: Path

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this certificate and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        return context


def make_certificate(host: str, directory: Path) -> Certificate:
    """Make a certificate for `host` that is valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)  # noqa: TID251 - what a certificate is read by
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(directory / f"{host}.pem", directory / f"{host}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


class Nginx:
    """A running nginx that can read its configuration again."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def reload(self) -> None:
        """Reload, and wait until the processes with the former configuration take no more connections."""
        left = self._log.read_text().count(_LEAVES)
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._log.read_text().count(_LEAVES) >= left + _PROCESSES:
                return
            time.sleep(0.05)
        raise AssertionError(f"nginx did not reload:\n{self._log.read_text()}")


@contextmanager
def nginx(servers: str, port: int, directory: Path) -> Iterator[Nginx]:
    """Run nginx with the blocks `servers`, one of which listens on `port`, until the block ends."""
    places = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Workers of a root user would be another one, who may not enter the directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"{user}worker_processes {_PROCESSES};\ndaemon off;\npid {directory}/nginx.pid;\nerror_log stderr notice;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{servers}}}\n"
    )
    log = directory / "nginx.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nginx", "-e", "stderr", "-p", str(directory), "-c", str(configuration)], stderr=output
        )
        try:
            _wait_for(port, process, log)
            yield Nginx(process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nginx did not start:\n{log.read_text()}")
