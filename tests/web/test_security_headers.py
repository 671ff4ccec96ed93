from __future__ import annotations

import pytest
from django.conf import settings
from django.test import AsyncClient


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
