"""The address by which browsers and backends reach the service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

OWN_PATHS = frozenset({".well-known", "api", "demo", "metrics", "static", "ws"})
"""First path segments of the service itself. No prefix may begin with one: its requests could not be told apart."""

_ADDRESS = re.compile(r"([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """`scheme` is http or https; `host` has no port; `port` is None for the scheme's own; `prefix` is "" or "/a/b"."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """Raises ValueError, which says what is wrong."""
        parts = urlsplit(text)
        scheme, prefix = parts.scheme, parts.path.removesuffix("/")
        if scheme not in _DEFAULT_PORTS:
            raise ValueError("it must begin with http:// or https://")
        if "?" in text or "#" in text:
            raise ValueError("it must have no query and no fragment")
        address = _ADDRESS.fullmatch(parts.netloc.lower())
        port = int(address[2] or _DEFAULT_PORTS[scheme]) if address else 0
        if address is None or port > MAX_PORT:
            raise ValueError("the scheme must be followed by a host name or address, with a port or without")
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("its path must be of letters, digits and - . _ ~ between single slashes")
        if prefix and prefix.split("/")[1] in OWN_PATHS:
            raise ValueError(f"its path must not begin with one of the service's own: {', '.join(sorted(OWN_PATHS))}")
        return cls(scheme, address[1], None if port == _DEFAULT_PORTS[scheme] else port, prefix)

    @property
    def address(self) -> str:
        """The host, with the port if it is not the scheme's own: as browsers write it."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of the service's own pages (RFC 6454)."""
        return f"{self.scheme}://{self.address}"

    @property
    def socket_scheme(self) -> str:
        return "wss" if self.scheme == "https" else "ws"

    def __str__(self) -> str:
        return self.origin + self.prefix
