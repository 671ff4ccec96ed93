"""The link between a browser and the service does what tests command."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from testkit.browsers.link import Link
from testkit.patience import PATIENCE_S

MOMENT_S = 0.3
MEGABYTE = bytes(1_000_000)


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it receives."""

    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.request.sendall(data)
        except ConnectionResetError:
            pass


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def link(echo_port: int) -> Iterator[Link]:
    with Link(echo_port) as link:
        yield link


@pytest.fixture
def client(link: Link) -> Iterator[socket.socket]:
    with connected(link) as client:
        yield client


def connected(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), PATIENCE_S)


def receive(client: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        data = client.recv(size - len(received))
        assert data, "closed too early"
        received += data
    return received


def expect_echo(client: socket.socket, words: bytes) -> None:
    client.sendall(words)
    assert receive(client, len(words)) == words


def expect_silence(client: socket.socket) -> None:
    client.settimeout(MOMENT_S)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(PATIENCE_S)


def accepted_at_once(client: socket.socket) -> int:
    """Bytes that leave the client without waiting for anybody to read; its own buffer is as small as can be."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.settimeout(MOMENT_S)
    accepted = 0
    try:
        while accepted < len(MEGABYTE):
            accepted += client.send(MEGABYTE[accepted:])
    except TimeoutError:
        pass
    return accepted


def test_what_is_sent_arrives_and_comes_back(client: socket.socket) -> None:
    sending = threading.Thread(target=client.sendall, args=[MEGABYTE])
    sending.start()
    assert receive(client, len(MEGABYTE)) == MEGABYTE
    sending.join()


def test_the_end_of_a_client_is_passed_on(client: socket.socket) -> None:
    expect_echo(client, b"hello")
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b"", "the server has seen the end, and ended"


def test_a_silent_link_loses_nothing(link: Link, client: socket.socket) -> None:
    expect_echo(client, b"before")
    link.silence()
    client.sendall(b"during")
    expect_silence(client)
    with connected(link) as newcomer:
        newcomer.sendall(b"new")
        expect_silence(newcomer)
        link.resume()
        assert receive(client, 6) == b"during"
        assert receive(newcomer, 3) == b"new"


def test_who_leaves_a_silent_link_disturbs_nobody(link: Link, client: socket.socket) -> None:
    expect_echo(client, b"before")
    link.silence()
    connected(link).close()
    link.resume()
    expect_echo(client, b"after")


@pytest.mark.parametrize("silent", [False, True])
def test_a_cut_resets_every_connection(link: Link, client: socket.socket, silent: bool) -> None:
    expect_echo(client, b"before")
    with connected(link) as other:
        expect_echo(other, b"before")
        if silent:
            link.silence()
        link.cut()
        for victim in (client, other):
            with pytest.raises(ConnectionResetError):
                victim.recv(1)
    link.resume()
    with connected(link) as newcomer:
        expect_echo(newcomer, b"after")


def test_nobody_answers_until_it_listens_again(link: Link, client: socket.socket) -> None:
    expect_echo(client, b"before")
    link.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(link)
    expect_echo(client, b"still here")
    link.listen()
    with connected(link) as newcomer:
        expect_echo(newcomer, b"after")


def test_a_service_that_is_down_resets_its_clients(echo_port: int) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else gets the port, and nobody answers.
        with Link(nobody.getsockname()[1]) as link, pytest.raises(ConnectionResetError), connected(link) as client:
            client.recv(1)


def test_a_limited_direction_takes_its_time(link: Link, client: socket.socket) -> None:
    link.limit_up(20_000)
    began = time.monotonic()
    expect_echo(client, bytes(10_000))
    assert time.monotonic() - began >= 0.5
    link.limit_up(None)
    link.limit_down(20_000)
    began = time.monotonic()
    expect_echo(client, bytes(10_000))
    assert time.monotonic() - began >= 0.5


def test_what_a_slow_uplink_does_not_take_stays_with_the_sender(link: Link) -> None:
    link.limit_up(1_000)
    with connected(link) as client:
        assert accepted_at_once(client) < 64_000
    link.limit_up(None)
    with connected(link) as client:
        assert accepted_at_once(client) > 64_000


def test_the_end_closes_everything(echo_port: int) -> None:
    with Link(echo_port) as link:
        client = connected(link)
        expect_echo(client, b"before")
        link.silence()
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connected(link)
    assert "link" not in {thread.name for thread in threading.enumerate()}
