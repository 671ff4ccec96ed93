"""nginx with the configuration of deploy/nginx: what it does itself, before servers that say what reached them."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from config.settings import load
from testkit import loopback
from testkit.front import CONFIGURATION, Front, running_front
from testkit.patience import PATIENCE_S
from testkit.service import free_port
from tests.deploy.nginx.backends import backend

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@contextmanager
def front_of(directory: Path, *instances: int, limited: bool = True) -> Iterator[Front]:
    with running_front(directory, free_port(), instances, limited=limited) as front:
        yield front


def get(front: Front, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    with httpx.Client(verify=front.certificate.trusting(), trust_env=False, timeout=PATIENCE_S) as client:
        return client.get(front.base_url + path, headers=headers)


def test_what_a_client_says_of_itself_is_not_passed_on(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "http"}
        told = get(front, "/api/v1/subjects/", forged).json()["headers"]
    assert (told["x-forwarded-for"], told["x-real-ip"], told["x-forwarded-proto"]) == (
        "127.0.0.1",
        "127.0.0.1",
        "https",
    )
    assert told["host"] == f"localhost:{front.port}"
    assert "connection" not in told
    assert re.fullmatch(r"[0-9a-f]{32}", told["x-request-id"])


@pytest.mark.parametrize(("sent", "kept"), [("order-17", True), ('"}, {"', False), ("x" * 129, False)])
def test_the_id_of_a_request_is_kept_if_the_service_would_keep_it(tmp_path: Path, sent: str, kept: bool) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        told = get(front, "/", {"X-Request-Id": sent}).json()["headers"]["x-request-id"]
    assert (told == sent) is kept


def test_the_slowest_of_three_instances_gets_fewest_requests(tmp_path: Path) -> None:
    with ExitStack() as stack:
        fast, usual, slow = (stack.enter_context(backend(delay_s=delay_s)) for delay_s in (0.02, 0.05, 1))
        front = stack.enter_context(front_of(tmp_path, fast.port, usual.port, slow.port, limited=False))
        client = stack.enter_context(loopback.blocking_client(timeout=PATIENCE_S))
        pool = stack.enter_context(ThreadPoolExecutor(8))
        answers = list(pool.map(lambda _: client.get(f"{front.base_url}/api/health/"), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert 0 < len(slow.requests) < min(len(usual.requests), len(fast.requests))


def test_a_get_goes_to_the_next_instance_and_a_post_that_was_taken_does_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dying, backend() as instance, ThreadPoolExecutor(1) as pool:
        port = dying.getsockname()[1]

        def die_of_each() -> list[bytes]:
            heads = []
            for _ in range(2):
                connection, _ = dying.accept()
                heads.append(connection.recv(4096).split(b" ")[0])
                connection.close()
            return heads

        died = pool.submit(die_of_each)
        dying.settimeout(PATIENCE_S)
        with front_of(tmp_path, port, instance.port, limited=False) as front, loopback.blocking_client() as client:
            # Of idle instances they take turns, so that each kind of request meets the dying one.
            gets = [client.get(f"{front.base_url}/api/v1/subjects/") for _ in range(2)]
            posts = [client.post(f"{front.base_url}/api/v1/sessions/", json={}) for _ in range(2)]
            assert died.result(PATIENCE_S) == [b"GET", b"POST"]
    assert [answer.status_code for answer in gets] == [200, 200]
    assert sorted(answer.status_code for answer in posts) == [200, 503]
    assert instance.requests.count("POST /api/v1/sessions/") == 1


def test_no_instance_is_told_as_the_service_tells_an_outage(tmp_path: Path) -> None:
    with front_of(tmp_path, free_port()) as front:
        answer = get(front, "/api/v1/subjects/", {"X-Request-Id": "order-17"})
    assert answer.status_code == 503
    assert answer.json() == {
        "error": {
            "code": "unavailable",
            "message": "no instance of the service answered",
            "details": {"retry_after_ms": 1000},
        },
        "request_id": "order-17",
    }
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/json"
    for header in ("strict-transport-security", "x-content-type-options", "content-security-policy", "x-frame-options"):
        assert header in answer.headers


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500, 503])
def test_what_the_service_answers_comes_through(tmp_path: Path, status: int) -> None:
    with backend(status) as instance, front_of(tmp_path, instance.port) as front:
        answer = get(front, "/api/v1/subjects/")
    assert (answer.status_code, answer.json()["path"]) == (status, "/api/v1/subjects/")


def test_a_head_that_the_service_would_refuse_is_refused_in_its_form(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        answer = get(front, "/api/v1/subjects/", {"X-Long": "x" * 40_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (431, "headers_too_large")
    assert instance.requests == []


def test_a_body_that_is_too_long_is_refused_in_the_form_of_the_service(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front, secured(front) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 200000000\r\n\r\n")
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"request_too_large"' in answer
    assert instance.requests == []


@pytest.mark.parametrize(
    ("path", "allowed"), [("/api/v1/auth/token/", 21), ("/api/v1/sessions/", 21), ("/ws/x/", 21), ("/api/health/", 101)]
)
def test_who_asks_too_often_is_told_429(tmp_path: Path, path: str, allowed: int) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front, loopback.blocking_client() as client:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get(front.base_url + path), range(2 * allowed)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(instance.requests) == len(answers) - len(refused) >= allowed
        assert refused
        assert {answer.json()["error"]["code"] for answer in refused} == {"too_many_requests"}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}


def test_who_has_too_many_connections_is_told_429(tmp_path: Path) -> None:
    with backend(delay_s=PATIENCE_S) as instance, front_of(tmp_path, instance.port) as front, ExitStack() as stack:
        # Over HTTP/1.1 a waiting answer is a connection; a hundred of them are all that one address may have.
        for _ in range(100):
            waiting = stack.enter_context(secured(front))
            waiting.sendall(b"GET /api/v1/audit/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
        deadline = time.monotonic() + PATIENCE_S
        while len(instance.requests) < 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = get(front, "/api/v1/audit/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")


@contextmanager
def secured(front: Front) -> Iterator[ssl.SSLSocket]:
    context = front.certificate.trusting()
    with (
        socket.create_connection(("127.0.0.1", front.port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        yield wrapped


def test_no_log_has_the_token_of_a_session(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        get(front, "/ws/auth/process-image/secret-token/?and=more")
        get(front, "/api/v1/subjects/?cursor=abc")
        log = front.access_log
    assert "GET /ws/auth/process-image/..." in log
    assert "GET /api/v1/subjects/" in log
    assert "secret-token" not in log
    assert "cursor" not in log


def test_plain_http_is_sent_to_https(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        answer = loopback.get(f"http://localhost:{front.plain_port}/api/docs?x=1")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/api/docs?x=1"
    assert instance.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(("version", "spoken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)])
def test_old_tls_is_not_spoken(tmp_path: Path, version: ssl.TLSVersion, spoken: bool) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(front.certificate.certificate)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE_S) as plain:
            try:
                context.wrap_socket(plain, server_hostname="localhost").close()
            except ssl.SSLError:
                assert not spoken
            else:
                assert spoken


def test_nginx_tells_its_own_status_to_this_machine_only(tmp_path: Path) -> None:
    with backend() as instance, front_of(tmp_path, instance.port) as front:
        status = loopback.get(f"http://127.0.0.1:{front.status_port}/nginx_status")
        assert status.text.startswith("Active connections: ")
        assert loopback.get(f"http://127.0.0.1:{front.status_port}/").status_code == 404
        assert get(front, "/nginx_status").json()["path"] == "/nginx_status"
    block = (CONFIGURATION / "face.conf").read_text().partition("location = /nginx_status")[2]
    assert re.search(r"allow 127\.0\.0\.1;\s+deny all;", block)


def test_its_limits_are_wider_than_the_services_own() -> None:
    """So that the service, which says why, ends a silent socket and refuses a long body."""
    settings = load({})
    proxy = (CONFIGURATION / "face" / "proxy.conf").read_text()
    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        assert int(re.findall(rf"{directive} (\d+)s;", proxy)[0]) > settings.idle_timeout_s
    server = (CONFIGURATION / "face.conf").read_text()
    assert int(re.findall(r"client_max_body_size (\d+)m;", server)[0]) << 20 > 12 * settings.max_image_bytes
