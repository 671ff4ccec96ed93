"""One try against a receiver that does what it likes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from testkit.patience import PATIENCE_S
from testkit.receivers import Receiver, answers, drips, late, pours, receiver, sends, write_certificate
from webhooks.sending import sender
from webhooks.sending.addresses import Rules
from webhooks.sending.sender import Answer

HERE = Rules(frozenset(), (ip_network("127.0.0.0/8"),), plain=True)
NOWHERE = Rules(frozenset(), (), plain=True)


def post(url: str, rules: Rules = HERE, timeout_s: float = PATIENCE_S) -> Answer:
    return sender.post(url, b'{"a":1}', {"webhook-id": "1"}, rules, timeout_s)


def test_the_body_arrives_with_its_headers(there: Receiver) -> None:
    answer = post(there.url + "?tenant=7")
    assert (answer.status, answer.error, answer.is_success) == (200, "", True)
    (request,) = there.received
    assert (request.path, request.body) == ("/hook?tenant=7", b'{"a":1}')
    assert request.headers["webhook-id"] == "1"
    assert request.headers["host"] == there.url.split("/")[2]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_a_success(there: Receiver, status: int) -> None:
    there.will(answers(status))
    assert post(there.url).is_success


@pytest.mark.parametrize("status", [304, 400, 404, 410, 429, 500, 503])
def test_everything_else_is_a_failure(there: Receiver, status: int) -> None:
    there.will(answers(status, b"no"))
    answer = post(there.url)
    assert not answer.is_success
    assert (answer.status, answer.is_gone) == (status, status == 410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(there: Receiver, status: int) -> None:
    with receiver() as elsewhere:
        there.will(answers(status, Location=elsewhere.url))
        answer = post(there.url)
    assert elsewhere.received == []
    assert answer.error == f"the receiver answered {status}: redirects are not followed"


def test_of_a_long_answer_the_beginning_is_kept_and_the_rest_not_read(there: Receiver) -> None:
    there.will(pours(64 * 2**20))
    answer = post(there.url)
    assert (answer.is_success, answer.text) == (True, "x" * 500)


@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ids=["status line", "headers", "body", "chunks"],
)
def test_a_receiver_that_brings_a_byte_now_and_then_is_cut_off(there: Receiver, before: bytes) -> None:
    there.will(drips(b"1", there.over, before))
    answer = post(there.url, timeout_s=1)
    assert answer.error == "the receiver did not answer in time"


def test_a_receiver_may_take_longer_to_answer_than_to_accept(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "CONNECT_TIMEOUT_S", 0.2)
    there.will(late(0.6, answers(200)))
    assert post(there.url).is_success


def test_a_receiver_that_says_nothing_is_given_up(there: Receiver) -> None:
    there.will(drips(b"", there.over))
    assert post(there.url, timeout_s=1).error == "the receiver did not answer in time"


@pytest.mark.parametrize(
    "raw", [b"\0\1\2", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK" * 9_000]
)
def test_what_is_not_http_is_a_failure(there: Receiver, raw: bytes) -> None:
    there.will(sends(raw))
    assert "the answer is not HTTP" in post(there.url).error


def test_an_end_without_an_answer_is_a_failure(there: Receiver) -> None:
    there.will(sends(b""))
    assert post(there.url).error == "the receiver ended the connection without an answer"


def test_the_beginning_of_an_answer_is_text_that_a_database_takes(there: Receiver) -> None:
    there.will(answers(500, b"\0\xff caf\xc3\xa9"))
    assert post(there.url).text == "\ufffd\ufffd caf\u00e9"


def test_nobody_who_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error == "the connection failed: Connection refused"


def test_an_address_of_this_machine_gets_no_connection(there: Receiver) -> None:
    answer = post(there.url, NOWHERE)
    assert (answer.status, answer.error) == (
        None,
        "the name of the host cannot be resolved, or it has an address that is not public",
    )
    assert there.received == []


def test_the_connection_is_made_to_the_address_that_was_checked(
    there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name's answer changes after it was asked for once: a second question would lead elsewhere."""
    asked: list[str] = []
    really, port = socket.getaddrinfo, int(there.url.split(":")[2].split("/")[0])

    def getaddrinfo(host: str, *arguments: Any, **named: Any) -> Any:
        if host == "receiver.example":
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "127.0.0.99"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        return really(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert post(f"http://receiver.example:{port}/hook").is_success
    assert asked == ["receiver.example"]
    assert len(there.received) == 1


def test_no_proxy_of_the_environment_is_used(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(there.url).is_success


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with TLS, whose certificate for localhost is trusted."""
    certificate = write_certificate(tmp_path / "receiver.pem", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiver(certificate) as found:
        yield found


def test_tls_is_verified_for_the_name(secure: Receiver) -> None:
    assert post(secure.url.replace("127.0.0.1", "localhost")).is_success
    answer = post(secure.url)
    assert answer.error.startswith("the certificate is not valid: IP address mismatch")
    assert len(secure.received) == 1


def test_a_certificate_of_nobody_that_is_trusted_is_refused(secure: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    answer = post(secure.url.replace("127.0.0.1", "localhost"))
    assert answer.error == "the certificate is not valid: self-signed certificate"
    assert secure.received == []


def test_a_receiver_without_tls_where_it_was_promised(there: Receiver) -> None:
    answer = post(there.url.replace("http:", "https:"))
    assert answer.error.startswith("TLS failed: ")


def test_a_handshake_that_never_comes_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = post(f"https://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=1)
    assert answer.error == "the receiver did not answer in time"


def test_nothing_is_left_of_a_try(there: Receiver) -> None:
    post(there.url)
    deadline = time.monotonic() + PATIENCE_S
    while any(thread.name == "resolve" or isinstance(thread, threading.Timer) for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
