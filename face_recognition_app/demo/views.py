"""The first page: a demonstration in the browser with the demo tenant."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from demo.modules import page_modules


def demo_enabled() -> bool:
    return bool(settings.FACE.demo_enabled)


@gzip_page
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page; `kept_days` is how long the outcome of a session is kept, for the words of consent."""
    facts = {"demo_enabled": demo_enabled(), "kept_days": settings.FACE.retain_sessions_days, "modules": page_modules()}
    return render(request, "demo/index.html", facts)
