"""nginx with the configuration of deploy/nginx, before instances of the service on ports of this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testkit.proxies import Certificate, Nginx, make_certificate, nginx
from testkit.service import REPOSITORY, free_port

CONFIGURATION = REPOSITORY / "deploy" / "nginx"
HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx. `port` is that of TLS, `plain_port` that of redirects, `status_port` that of its own status."""

    port: int
    plain_port: int
    status_port: int
    certificate: Certificate
    directory: Path
    _nginx: Nginx

    @property
    def base_url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def access_log(self) -> str:
        return (self.directory / "access.log").read_text()

    def send_to(self, ports: Sequence[int]) -> None:
        """Send new requests to the instances at `ports`, and to no other."""
        _write_upstream(self.directory, ports)
        self._nginx.reload()


@contextmanager
def running_front(directory: Path, port: int, instances: Sequence[int], *, limited: bool = True) -> Iterator[Front]:
    """Run nginx with TLS on `port` before the instances at these ports; not `limited`: this machine's clients are
    among those that face/limits.conf leaves out."""
    shutil.copytree(CONFIGURATION / "face", directory / "face")
    (directory / "face-tls").mkdir()
    (directory / "cache").mkdir()
    made = make_certificate(HOST, directory)
    shutil.copy(made.certificate, directory / "face-tls" / "fullchain.pem")
    shutil.copy(made.key, directory / "face-tls" / "privkey.pem")
    _write_upstream(directory, instances)
    if not limited:
        limits = directory / "face" / "limits.conf"
        limits.write_text(_replaced(limits.read_text(), "# 10.20.0.0/16 0;", "127.0.0.0/8 0;"))
    plain, status = free_port(), free_port()
    text = (CONFIGURATION / "face.conf").read_text()
    for was, becomes in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("listen 127.0.0.1:8080;", f"listen 127.0.0.1:{status};"),
        ("/var/log/nginx", str(directory)),
        # Of its own: nginx deletes what it finds there and did not write.
        ("/var/cache/nginx", str(directory / "cache")),
    ):
        text = _replaced(text, was, becomes)
    with nginx(text, port, directory) as running:
        yield Front(port, plain, status, made, directory, running)


def _write_upstream(directory: Path, ports: Sequence[int]) -> None:
    text = (CONFIGURATION / "face" / "upstream.conf").read_text()
    servers = re.findall(r"^ +server .*\n", text, re.MULTILINE)
    ours = "".join(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", servers[0]) for port in ports)
    (directory / "face" / "upstream.conf").write_text(text.replace("".join(servers), ours))


def _replaced(text: str, was: str, becomes: str) -> str:
    assert text.count(was) == 1, was
    return text.replace(was, becomes)
