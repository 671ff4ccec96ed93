"""manage.py rotate_keys [--tenant NAME] [--master | --finish] [--json]"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from config.service import service_settings
from gallery.protection import reprotection
from gallery.protection.errors import KeysUnavailable, MasterKeyError
from gallery.protection.master_keys import MasterKeys
from gallery.protection.reprotection import Rotated, UnreadableTemplate
from gallery.protection.tenant_secrets import TenantSecrets
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


class Command(BaseCommand):
    help = (
        "Gives each tenant a new secret and protects its templates with it, while the service runs; interrupted, it "
        "goes on when it is run again. Old secrets are deleted a day later. Secrets that an older master key wrapped "
        "are wrapped by the newest one."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="of this tenant only")
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--master", action="store_true", help="wrap all secrets by the newest master key, no more")
        only.add_argument(
            "--finish",
            action="store_true",
            help="delete the old secrets now, because one leaked: sessions that were open before end",
        )
        parser.add_argument("--json", action="store_true", help="print {rewrapped, rotated, deleted}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            secrets = TenantSecrets(MasterKeys.load(service_settings()))
            chosen = [find_tenant(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("name"))
            rewrapped = secrets.rewrap()
            rotated = [] if options["master"] else [_rotate(tenant, secrets) for tenant in chosen]
            deleted = sum(reprotection.finish(tenant) for tenant in chosen) if options["finish"] else 0
        except (TenantNotFound, MasterKeyError, KeysUnavailable, UnreadableTemplate) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            told = {"rewrapped": rewrapped, "rotated": [asdict(one) for one in rotated], "deleted": deleted}
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.writelines(f"{_sentence(one)}\n" for one in rotated)
            self.stdout.write(f"{rewrapped} secrets were wrapped by the newest master key, {deleted} were deleted")


def _rotate(tenant: Tenant, secrets: TenantSecrets) -> Rotated:
    with tqdm(desc=tenant.name, unit=" templates", disable=None, leave=False) as bar:
        return reprotection.rotate(tenant, secrets, _told_to(bar))


def _told_to(bar: Any) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return tell


def _sentence(done: Rotated) -> str:
    how = "went on with an interrupted rotation: " if done.resumed else ""
    return f"{done.tenant}: {how}{done.templates} templates are now of epoch {done.epoch}"
