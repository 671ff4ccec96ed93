"""The service's settings as Django carries them."""

from __future__ import annotations

from django.conf import settings

from config.settings import Settings


def service_settings() -> Settings:
    found = settings.FACE
    assert isinstance(found, Settings)
    return found
