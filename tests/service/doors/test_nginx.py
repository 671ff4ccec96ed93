"""The service behind nginx, with the configuration that docs/proxies.md shows, at a path prefix and with TLS."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from config.settings import load
from recognition.api.openapi.allowances import SPARE_IMAGES
from recognition.api.uploads import MAX_IMAGES_AT_A_TIME
from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.proxies import Certificate, make_certificate, nginx
from testkit.service import REPOSITORY, LiveService, free_port, running_service

HOST = "face.example"
PUBLIC_URL = f"https://{HOST}/face"
ENVIRONMENT = {
    "APP_ENV": "production",
    "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7",
    "FACE_DEMO": "1",
    "FACE_PUBLIC_URL": PUBLIC_URL,
}

GREETING = """async () => {
  const body = JSON.stringify({kind: "identification", liveness: "none"});
  const headers = {"content-type": "application/json"};
  const created = await fetch("demo/sessions/", {method: "POST", headers, body});
  const socket = new WebSocket((await created.json()).websocket_url);
  const message = await new Promise((resolve, reject) => {
    socket.onmessage = (event) => resolve(JSON.parse(event.data));
    socket.onerror = reject;
  });
  return message.type;
}"""
"""Script of the page that begins a session; returns the type of the first message on its socket."""
CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@dataclass(frozen=True, slots=True)
class Proxied:
    """The service as browsers reach it: by its public name, which only these requests resolve."""

    service: LiveService
    port: int
    certificate: Certificate

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        headers = {"host": HOST, "authorization": f"Bearer {self.service.api_key}"}
        with httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers=headers,
            verify=self.certificate.trusting(),
            trust_env=False,
            timeout=PATIENCE_S,
        ) as client:
            client.event_hooks["request"] = [lambda sent: sent.extensions.update(sni_hostname=HOST)]
            yield client

    def socket(self, url: str, origin: str) -> ClientConnection:
        context = self.certificate.trusting()
        return connect(url, address=("127.0.0.1", self.port), ssl=context, origin=Origin(origin), proxy=None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory = tmp_path_factory.mktemp("behind-nginx")
    with running_service(directory, workers=1, pool_size=1, environment=ENVIRONMENT) as service:
        yield service


def configured(service: LiveService, port: int, certificate: Certificate) -> str:
    """The block of the documentation with the ports and files of this test."""
    block: str
    [block] = re.findall(r"```nginx\n(.*?)```", (REPOSITORY / "docs" / "proxies.md").read_text(), re.DOTALL)
    for was, becomes in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (f"/etc/ssl/{HOST}.pem", str(certificate.certificate)),
        (f"/etc/ssl/{HOST}.key", str(certificate.key)),
        ("http://127.0.0.1:8003", service.base_url),
    ):
        assert block.count(was) == 1
        block = block.replace(was, becomes)
    return block


@pytest.fixture(scope="module", params=["prefix taken off", "prefix passed on"])
def prefix(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "prefix passed on")


@pytest.fixture(scope="module", params=["with Host", "without Host"])
def proxied(
    request: pytest.FixtureRequest, service: LiveService, prefix: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("nginx")
    port = free_port()
    certificate = make_certificate(HOST, directory)
    block = configured(service, port, certificate)
    if prefix:
        block = block.replace(f"proxy_pass {service.base_url}/;", f"proxy_pass {service.base_url};")
    if request.param == "without Host":
        block = re.sub(r"^ *proxy_set_header Host .*\n", "", block, flags=re.MULTILINE)
    with nginx(block, port, directory):
        yield Proxied(service, port, certificate)


def test_the_page_and_all_that_it_loads_are_there(proxied: Proxied) -> None:
    with proxied.client() as client:
        for path in ("/face/", "/face/api/docs"):
            page = client.get(path)
            assert page.status_code == 200
            loaded = [link for link in re.findall(r'(?:href|src)="([^"]+)"', page.text) if not link.startswith("data:")]
            assert len(loaded) >= 3
            for link in loaded:
                answer = client.get(str(page.url.join(link)))
                assert answer.status_code == 200, link
                assert "strict-transport-security" in answer.headers
        assert client.get("/face/api/openapi.json").json()["servers"] == [{"url": PUBLIC_URL}]
        assert client.get("/face").headers["location"].endswith("/face/")


def test_a_session_of_the_page_is_played_through_its_socket(proxied: Proxied) -> None:
    with proxied.client() as client:
        created = client.post("/face/demo/sessions/", json={"kind": "identification", "liveness": "none"})
    assert created.status_code == 201, created.text
    url = created.json()["websocket_url"]
    assert url.startswith(f"wss://{HOST}/face/ws/auth/process-image/")
    with proxied.socket(url, origin=f"https://{HOST}") as socket:
        greeting = received(socket)
        assert greeting["type"] == "connection_established"
        socket.send(encode_jpeg(astronaut()))
        answer = received(socket)
        assert (answer["type"], answer["seq"]) == ("frame_processed", 1)
        assert answer["face"] is not None


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_loads_the_page_and_opens_its_socket(proxied: Proxied) -> None:
    switches = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{proxied.port}"]
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto(f"{PUBLIC_URL}/", wait_until="networkidle")
        assert page.evaluate(GREETING) == "connection_established"
        browser.close()
    assert problems == []


def test_a_page_of_another_site_is_still_refused(proxied: Proxied) -> None:
    with proxied.client() as client:
        created = client.post("/face/api/v1/sessions/", json={"kind": "identification"}).json()
    with proxied.socket(created["websocket_url"], origin="https://evil.example") as socket:
        assert "FACE_PUBLIC_URL" in received(socket)["message"]
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


@pytest.mark.parametrize("path", ["/metrics", "/api/pool/status/", "/api/docs"])
def test_the_prefix_is_no_way_around_a_key(proxied: Proxied, path: str) -> None:
    with proxied.client() as client:
        assert client.get(f"/face{path}").status_code == 200
        del client.headers["authorization"]
        assert client.get(f"/face{path}").status_code == 401
        assert client.get(f"/face/{path}").status_code in (401, 404)


def test_the_limits_of_the_example_are_wider_than_the_services_own() -> None:
    """So that the service, which says why, ends a silent socket and refuses a long body."""
    block, settings = (REPOSITORY / "docs" / "proxies.md").read_text(), load({})
    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        assert int(re.findall(rf"{directive} (\d+)s;", block)[0]) > settings.idle_timeout_s
    longest = (MAX_IMAGES_AT_A_TIME + SPARE_IMAGES) * settings.max_image_bytes
    assert int(re.findall(r"client_max_body_size (\d+)m;", block)[0]) << 20 > longest


def test_a_probe_on_the_services_own_port_needs_no_prefix(service: LiveService) -> None:
    assert loopback.get(f"{service.base_url}/api/health/").status_code == 200
    assert loopback.get(f"{service.base_url}/face/api/health/").status_code == 200


def received(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_S))
    return message
