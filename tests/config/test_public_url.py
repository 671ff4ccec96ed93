from __future__ import annotations

import pytest
from django.urls import get_resolver

from config.public_url import OWN_PATHS, PublicUrl
from config.settings import SettingsError, load

STRONG = {"APP_ENV": "production", "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7"}


@pytest.mark.parametrize(
    ("text", "parsed", "origin"),
    [
        ("https://face.example", PublicUrl("https", "face.example", None, ""), "https://face.example"),
        ("https://Face.Example:443/", PublicUrl("https", "face.example", None, ""), "https://face.example"),
        ("http://10.0.0.1:8003/face/", PublicUrl("http", "10.0.0.1", 8003, "/face"), "http://10.0.0.1:8003"),
        ("http://[::1]:80/a/b.c", PublicUrl("http", "[::1]", None, "/a/b.c"), "http://[::1]"),
        ("HTTPS://localhost/API", PublicUrl("https", "localhost", None, "/API"), "https://localhost"),
    ],
)
def test_an_address_is_taken_apart(text: str, parsed: PublicUrl, origin: str) -> None:
    assert PublicUrl.parse(text) == parsed
    assert (parsed.origin, str(parsed)) == (origin, origin + parsed.prefix)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("face.example", "begin with http"),
        ("ftp://face.example", "begin with http"),
        ("wss://face.example", "begin with http"),
        ("https://", "host name"),
        ("https:///face", "host name"),
        ("https://me@face.example", "host name"),
        ("https://face_1.example", "host name"),
        ("https://face.example:", "host name"),
        ("https://face.example:0", "host name"),
        ("https://face.example:65536", "host name"),
        ("https://face.example:port", "host name"),
        ("https://face.example/?a=b", "no query"),
        ("https://face.example/#top", "no fragment"),
        ("https://face.example/#", "no fragment"),
        ("https://face.example//face", "single slashes"),
        ("https://face.example/face//", "single slashes"),
        ("https://face.example/../face", "single slashes"),
        ("https://face.example/fa ce", "single slashes"),
        ("https://face.example/f%C3%A4ce", "single slashes"),
        ("https://face.example/api", "service's own"),
        ("https://face.example/ws/face", "service's own"),
    ],
)
def test_what_is_no_address_stops_the_start_and_says_why(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s)FACE_PUBLIC_URL=.*{why}"):
        load({"FACE_PUBLIC_URL": text})


def test_its_host_and_origin_are_welcome_besides_those_that_are_listed() -> None:
    found = load({**STRONG, "FACE_PUBLIC_URL": "https://face.example:8443/face"})
    assert found.hosts == ("localhost", "127.0.0.1", "[::1]", "face.example")
    assert found.origins == ("https://face.example:8443",)
    listed = {"FACE_ALLOWED_HOSTS": "face", "FACE_ALLOWED_ORIGINS": "https://app.example"}
    found = load({**STRONG, **listed, "FACE_PUBLIC_URL": "https://face.example"})
    assert found.hosts == ("face", "face.example")
    assert found.origins == ("https://app.example", "https://face.example")
    assert load({}).hosts == ("*",)


def test_no_prefix_can_be_taken_for_a_path_of_the_service() -> None:
    first_segments = {str(pattern.pattern).split("/")[0] for pattern in get_resolver().url_patterns} - {""}
    assert first_segments | {"ws", "metrics", "static"} == OWN_PATHS
