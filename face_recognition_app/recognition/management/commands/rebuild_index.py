"""manage.py rebuild_index [--tenant NAME] [--store NAME]"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from config.service import service_settings
from core.errors import ModelError
from gallery.stores.base import TemplateStore
from gallery.stores.makers import MAKERS
from recognition.deciding import Deciding
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


class Command(BaseCommand):
    help = (
        "Makes the indexes of galleries anew from the database, while workers search the old ones. After an "
        "interruption begin it again: what was begun is deleted, and what was done stays."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="whose gallery; all tenants' when it is not given")
        parser.add_argument("--store", choices=sorted(MAKERS), help="in place of FACE_GALLERY_STORE")

    def handle(self, *args: Any, **options: Any) -> None:
        settings = service_settings()
        if options["store"] is not None:
            settings = settings.model_copy(update={"gallery_store": options["store"]})
        try:
            tenants = [find_tenant(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("name"))
            deciding = Deciding.load(settings)
        except (TenantNotFound, ModelError) as error:
            raise CommandError(str(error)) from error
        busy = [tenant.name for tenant in tenants if not self._rebuild(deciding.gallery_of(tenant).store, tenant)]
        if busy:
            raise CommandError(f"another process makes the index anew just now: {', '.join(busy)}")

    def _rebuild(self, store: TemplateStore, tenant: Tenant) -> bool:
        read = 0
        with tqdm(desc=tenant.name, unit=" templates", file=sys.stderr, disable=None) as bar:

            def advance(done: int, total: int) -> None:
                nonlocal read
                read, bar.n, bar.total = done, done, total
                bar.refresh()

            rebuilt = store.rebuild(tenant, advance)
        if rebuilt:
            self.stdout.write(f"{tenant.name}: {read} templates")
        return rebuilt
