"""Client addresses: only a keyed digest of the network is kept, and only while it counts."""

from __future__ import annotations

import hmac
import ipaddress

from config.secret import secret_key
from config.settings import Settings

SUBSCRIBER_BITS = 64
"""Prefix of an IPv6 address that a provider gives one subscriber; the subscriber may use any address under it."""


def address_digest(settings: Settings, host: str) -> str:
    """64 hexadecimal digits that stand for the network of `host`; empty when `host` has no network to count.

    The loopback address is not counted: it belongs to a proxy on this machine that does not name its client, and one
    failing client behind the proxy would lock out all the others.
    """
    network = _network(host)
    return "" if network is None else _digest(settings, network)


def _network(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    host_bits = address.max_prefixlen - SUBSCRIBER_BITS
    return str(ipaddress.IPv6Network((int(address) >> host_bits << host_bits, SUBSCRIBER_BITS)))


def _digest(settings: Settings, network: str) -> str:
    return hmac.digest(secret_key(settings).encode(), b"client-address:" + network.encode(), "sha256").hex()
