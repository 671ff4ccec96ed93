"""manage.py unlock --tenant NAME (--subject ID | --device ID | --address IP) [--json]"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.service import service_settings
from recognition.sessions import lockout
from recognition.sessions.addresses import address_digest
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Forgets the failed attempts of a subject, a device or an address, and with them its lock."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="NAME")
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--subject", metavar="ID", help="and the devices that are known for the subject")
        whose.add_argument("--device", metavar="ID")
        whose.add_argument("--address", metavar="IP", help="of a client; IPv6: its /64 network")
        parser.add_argument("--json", action="store_true", help="print {tenant, lifted}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = Tenant.objects.get(name=options["tenant"])
        except Tenant.DoesNotExist as error:
            known = ", ".join(Tenant.objects.order_by("name").values_list("name", flat=True)) or "none"
            raise CommandError(f"there is no tenant {options['tenant']!r}; there is: {known}") from error
        lifted = _lift(tenant, options)
        if options["json"]:
            self.stdout.write(json.dumps({"tenant": tenant.name, "lifted": lifted}))
        else:
            self.stdout.write(f"{lifted} counters of failed attempts were forgotten")


def _lift(tenant: Tenant, options: dict[str, Any]) -> int:
    """Delete the counters of failures; returns how many there were."""
    if options["subject"] is not None:
        return lockout.lift_subject(tenant, options["subject"])
    if options["device"] is not None:
        return lockout.lift_device(tenant, options["device"])
    address = address_digest(service_settings(), options["address"])
    if not address:
        raise CommandError(f"{options['address']!r} is no address of a client")
    return lockout.lift_address(tenant, address)
