"""Where webhooks are sent, and where never."""

from __future__ import annotations

import ipaddress
import socket
from threading import Event
from typing import Any

import pytest

from webhooks.errors import UrlRefused
from webhooks.sending import addresses
from webhooks.sending.addresses import Rules, is_public, network_of

STRICT = Rules(frozenset(), (), plain=False)
IN_DEVELOPMENT = Rules(frozenset(), (), plain=True)

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "gopher://receiver.example/",
        "receiver.example",
        "//receiver.example/",
        "https://",
        "https:///path",
        "https://user@receiver.example/",
        "https://user:password@receiver.example/",
        "https://receiver.example:0x50/",
        "https://receiver.example:65536/",
        "https://receiver.example:0/",
        "https://receiver.example/#fragment",
        "https://receiver.example/a b",
        "https://receiver.example/\r\nX: y",
        "https://receiver.example\\@127.0.0.1/",
        "https://r\u00e9ceiver.example/",
        "https://[::1/",
        "https://receiver.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_url_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        addresses.parse(url, STRICT)


def test_plain_http_is_for_development() -> None:
    assert addresses.parse("http://receiver.example", IN_DEVELOPMENT).port == 80
    target = addresses.parse("https://Receiver.example:8443/a/b?c=d", STRICT)
    assert (target.host, target.port, target.path) == ("receiver.example", 8_443, "/a/b?c=d")
    assert target.netloc == "Receiver.example:8443"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0",
        "localhost",
        "localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "169.254.169.254",
        "no-such-host.invalid",
    ],
)
def test_a_host_of_this_machine_or_nowhere_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        addresses.resolve(addresses.parse(f"https://{host}/", STRICT), STRICT)
    assert refused.value.message == addresses.NO_ADDRESS


def resolving(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """Let every name have these addresses."""

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_one_address_that_is_not_public_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    target = addresses.parse("https://receiver.example/", STRICT)
    resolving(monkeypatch, "8.8.8.8", "1.1.1.1")
    assert addresses.resolve(target, STRICT) == ["8.8.8.8", "1.1.1.1"]
    resolving(monkeypatch, "8.8.8.8", "10.0.0.1")
    with pytest.raises(UrlRefused):
        addresses.resolve(target, STRICT)


def test_what_the_operator_allows_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    internal = network_of("10.1.0.0/16")
    assert internal is not None
    rules = Rules(frozenset({"receiver.internal"}), (internal,), plain=False)
    resolving(monkeypatch, "192.168.0.7")
    assert addresses.resolve(addresses.parse("https://Receiver.internal/", rules), rules) == ["192.168.0.7"]
    with pytest.raises(UrlRefused):
        addresses.resolve(addresses.parse("https://other.internal/", rules), rules)
    resolving(monkeypatch, "10.1.2.3", "::ffff:10.1.2.3")
    assert len(addresses.resolve(addresses.parse("https://other.internal/", rules), rules)) == 2
    resolving(monkeypatch, "10.2.0.1")
    with pytest.raises(UrlRefused):
        addresses.resolve(addresses.parse("https://other.internal/", rules), rules)


def test_a_resolver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    over = Event()
    request.addfinalizer(over.set)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    monkeypatch.setattr(addresses, "RESOLVE_TIMEOUT_S", 0.05)
    with pytest.raises(UrlRefused):
        addresses.resolve(addresses.parse("https://receiver.example/", STRICT), STRICT)
