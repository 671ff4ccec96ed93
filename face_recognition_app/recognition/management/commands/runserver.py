"""manage.py runserver: Daphne's command. Daphne runs no lifespan, so this starts the worker before it listens."""

from __future__ import annotations

from typing import Any

from asgiref.typing import ASGI3Application
from daphne.management.commands.runserver import Command as DaphneRunserver

from config.service import service_settings
from recognition.preparation import prepare
from recognition.worker import Worker, served_by


class Command(DaphneRunserver):  # type: ignore[misc]  # the package is not typed
    def handle(self, *args: Any, **options: Any) -> None:
        settings = service_settings()
        if settings.development:
            prepare(settings, self.stdout.write)
        super().handle(*args, **options)

    def get_application(self, options: dict[str, Any]) -> ASGI3Application:
        """Start the worker. Django calls this once in each serving process, also after a reload."""
        application: ASGI3Application = super().get_application(options)
        return served_by(Worker.start(service_settings()), application)
