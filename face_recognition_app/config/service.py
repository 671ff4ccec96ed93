"""Access to the service's settings in Django's."""

from __future__ import annotations

from django.conf import settings

from config.settings import Settings


def service_settings() -> Settings:
    found = settings.FACE
    assert isinstance(found, Settings)
    return found
