"""manage.py prepare"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.errors import ModelError
from core.models import ensure_models
from ops.service import service_settings
from recognition.demo import ensure_demo_tenant
from recognition.signing import Signer


class Command(BaseCommand):
    help = "Makes everything ready for a start: models, database, keys and, in development, the demo tenant."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        settings = service_settings()
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        try:
            ensure_models(settings.model_dir, self.stdout.write)
        except ModelError as error:
            raise CommandError(str(error)) from error
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write("database: migrations applied")
        Signer.load(settings.data_dir)
        if settings.development:
            ensure_demo_tenant(settings)
            self.stdout.write(f"demo tenant: its API key is in {settings.data_dir / 'demo-api-key'}")
