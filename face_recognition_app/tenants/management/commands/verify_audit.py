"""manage.py verify_audit [--tenant NAME] [--expect SEQUENCE:HASH] [--json]"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.models import AuditEntry
from audit.verification import Verdict, verify
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


class Command(BaseCommand):
    help = (
        "Verifies the audit trail of a tenant, or of all. Exits with 1 when an entry was changed, removed, inserted, "
        "moved or cut off, and says which is the first that is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="default: every tenant")
        parser.add_argument(
            "--expect",
            metavar="SEQUENCE:HASH",
            help="an end of the tenant's chain that was noted before, or stands in a receipt: it must still be there",
        )
        parser.add_argument("--json", action="store_true", help="print [{tenant, entries, sequence, hash, fault}]")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["expect"] and not options["tenant"]:
            raise CommandError("--expect is of one tenant: name it with --tenant")
        try:
            tenants = [find_tenant(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("name"))
        except TenantNotFound as error:
            raise CommandError(str(error)) from error
        verdicts = {tenant.name: _verdict(tenant, options["expect"]) for tenant in tenants}
        if options["json"]:
            self.stdout.write(json.dumps([{"tenant": name, **asdict(verdict)} for name, verdict in verdicts.items()]))
        else:
            self.stdout.writelines(f"{name}: {_in_words(verdict)}\n" for name, verdict in verdicts.items())
        if any(verdict.fault for verdict in verdicts.values()):
            sys.exit(1)


def _verdict(tenant: Tenant, expected: str | None) -> Verdict:
    verdict = verify(tenant.pk)
    if verdict.fault or expected is None:
        return verdict
    sequence, _, hash_ = expected.partition(":")
    if not sequence.isdecimal() or not hash_:
        raise CommandError(f"{expected!r}: use SEQUENCE:HASH")
    if AuditEntry.objects.filter(tenant=tenant, sequence=int(sequence), hash=hash_).exists():
        return verdict
    fault = f"entry {sequence} is not the one that was noted: the chain was put back, or the entry was pruned"
    return Verdict(verdict.entries, verdict.sequence, verdict.hash, fault)


def _in_words(verdict: Verdict) -> str:
    if verdict.fault:
        return f"BROKEN after {verdict.entries} entries: {verdict.fault}"
    return f"{verdict.entries} entries are whole, up to {verdict.sequence}:{verdict.hash or '-'}"
