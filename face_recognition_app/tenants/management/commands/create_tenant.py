"""manage.py create_tenant NAME [--json]"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.keys import create_tenant
from tenants.names import InvalidTenantName, TenantExists


class Command(BaseCommand):
    help = "Makes a tenant and prints its API key, which is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="1 to 63 of a-z, 0-9 and -")
        parser.add_argument("--json", action="store_true", help="print {tenant, api_key} as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant, key = create_tenant(options["name"])
        except (InvalidTenantName, TenantExists) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"tenant": tenant.name, "api_key": key}))
        else:
            self.stdout.write(f"tenant {tenant.name}\nAPI key {key}\nKeep it now: it is not shown again.")
