"""Which addresses events are sent to: public ones, and what the operator has allowed beside them."""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

from config.settings import Settings
from webhooks.errors import UrlRefused
from webhooks.models import MAX_URL_CHARACTERS

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVE_TIMEOUT_S = 5.0
MOST_ADDRESSES = 8
NO_ADDRESS = "url: the name of the host cannot be resolved, or it has an address that is not public"
"""The same words for both, so that nobody learns which names there are inside."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses in which a translator of the network (NAT64) has put an IPv4 address, in the last 32 bits."""
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # relays of 6to4, retired
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address is inside
        "3fff::/20",  # documentation
    )
)
"""Not meant for anybody, or a way to another address; what `ipaddress` says of them depends on Python's version."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`hosts` and `networks` are allowed whatever they are; `plain`: http is allowed, too."""

    hosts: frozenset[str]
    networks: tuple[Network, ...]
    plain: bool

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        networks = {text: network_of(text) for text in settings.webhook_allow}
        return cls(
            frozenset(text.lower() for text, network in networks.items() if network is None),
            tuple(network for network in networks.values() if network is not None),
            settings.development,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts. `netloc`: host and port as they are sent in the header `Host`."""

    scheme: str
    host: str
    port: int
    netloc: str
    path: str


def network_of(text: str) -> Network | None:
    """The network or address that the text is; None for a host's name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def parse(url: str, rules: Rules) -> Target:
    """Raises UrlRefused for what is no URL of a receiver."""
    if len(url) > MAX_URL_CHARACTERS or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise UrlRefused(f"url: at most {MAX_URL_CHARACTERS} printable characters of ASCII, without a backslash")
    parts, port = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and rules.plain):
        raise UrlRefused("url: it must begin with https://")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise UrlRefused("url: it needs a host, and must have no user, password or fragment")
    if port == 0:
        raise UrlRefused("url: there is no port 0")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = port or (443 if parts.scheme == "https" else 80)
    return Target(parts.scheme, parts.hostname, port, parts.netloc, path)


def resolve(target: Target, rules: Rules) -> list[str]:
    """The addresses that the target's host has now, each of which may be connected to. Raises UrlRefused.

    Whoever connects must use one of these: asked again, the name may have another.
    """
    found = _look_up(target.host, target.port)
    if target.host.lower() not in rules.hosts:
        for address in found:
            if not is_allowed(address, rules):
                raise UrlRefused(NO_ADDRESS)
    return [str(address) for address in found[:MOST_ADDRESSES]]


def is_allowed(address: Address, rules: Rules) -> bool:
    return is_public(address) or any(_plain(address) in network for network in rules.networks)


def is_public(address: Address) -> bool:
    """Whether the address is one of the internet's. False where it is unclear."""
    address = _plain(address)
    if any(address in network for network in _NEVER) or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise UrlRefused(f"url: {error}") from error


def _look_up(host: str, port: int) -> list[Address]:
    """Ask the system's resolver, which has no time-out of its own, on a thread that is left behind when it is late."""
    answers: list[list[Address] | OSError | UnicodeError] = []

    def look() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append([ipaddress.ip_address(row[4][0]) for row in rows])
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=look, name="resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_TIMEOUT_S)
    answer = answers[0] if answers else None
    if not isinstance(answer, list) or not answer:
        raise UrlRefused(NO_ADDRESS)
    return list(dict.fromkeys(answer))
