"""manage.py runserver: Daphne's, made ready like every other way to start in development."""

from __future__ import annotations

from typing import Any

from daphne.management.commands.runserver import Command as DaphneRunserver

from config.service import service_settings
from recognition.preparation import prepare


class Command(DaphneRunserver):  # type: ignore[misc]  # the package is not typed
    def handle(self, *args: Any, **options: Any) -> None:
        settings = service_settings()
        if settings.development:
            prepare(settings, self.stdout.write)
        super().handle(*args, **options)
