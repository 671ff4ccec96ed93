"""manage.py prepare"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.service import service_settings
from core.errors import ModelError
from gallery.binding import NoGalleryFits
from gallery.protection.errors import MasterKeyError
from gallery.stores.pgvector.schema import StoreUnusable
from recognition.preparation import prepare


class Command(BaseCommand):
    help = "Makes everything ready for a start: models, database, keys and, in development, the demo tenant."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            prepare(service_settings(), lambda line: self.stdout.write(f"      {line}"))
        except (ModelError, MasterKeyError, NoGalleryFits, StoreUnusable) as error:
            raise CommandError(str(error)) from error
