from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import AsyncClient


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/openapi.json"])
async def test_no_policy_has_a_wildcard_or_allows_what_is_inline(path: str) -> None:
    """Nor a bare scheme, which is a wildcard for hosts; but for data: pictures, which cannot do or tell anything."""
    policy = (await AsyncClient().get(path))["Content-Security-Policy"]
    sources = {source for directive in policy.split("; ") for source in directive.split(" ")[1:]}
    assert sources <= {"'self'", "'none'", "data:"}
    assert re.findall(r"([a-z-]+)[^;]* data:", policy) == ["img-src"]


@pytest.mark.parametrize("path", ["/", "/api/docs"])
async def test_a_page_has_nothing_inline(path: str) -> None:
    page = (await AsyncClient().get(path)).content.decode()
    assert re.findall(r"<style|<[^>]* style=|<[^>]* on\w+=|<script(?![^>]* src=)", page) == []


@pytest.mark.parametrize("path", ["/api/asyncapi.json", "/api/openapi.json", "/not-there"])
async def test_every_answer_of_django_carries_the_security_headers(path: str) -> None:
    answer = await AsyncClient().get(path)
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Permissions-Policy"] == "camera=(self)"
    assert not answer.cookies


def test_no_answer_sets_a_cookie() -> None:
    """Without cookies there is nothing for CSRF to forge."""
    assert [name for name in settings.MIDDLEWARE if "session" in name.lower() or "auth" in name.lower()] == []
