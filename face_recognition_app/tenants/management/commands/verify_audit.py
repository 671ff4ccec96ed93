"""manage.py verify_audit [--tenant NAME] [--expect SEQUENCE:HASH] [--begin-anew] [--json]"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from audit.beginning import NoRoom, begin_anew
from audit.models import AuditEntry
from audit.verification import Verdict, verify
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


class Command(BaseCommand):
    help = (
        "Verifies the audit trail of a tenant, or of all. Exits with 1 when an entry was changed, removed, inserted, "
        "moved or cut off, and says which is the first that is wrong. A chain that was begun anew is verified from "
        "there, and what was wrong before is said each time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="default: every tenant")
        parser.add_argument(
            "--expect",
            metavar="SEQUENCE:HASH",
            help="an end of the tenant's chain that was noted before, or stands in a receipt: it must still be there",
        )
        parser.add_argument(
            "--begin-anew",
            action="store_true",
            help="go on with a new chain behind a broken one: the old entries are kept, and who did it is recorded",
        )
        parser.add_argument(
            "--json", action="store_true", help="print [{tenant, entries, sequence, hash, fault, past}]"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for option in ("expect", "begin_anew"):
            if options[option] and not options["tenant"]:
                raise CommandError(f"--{option.replace('_', '-')} is of one tenant: name it with --tenant")
        try:
            tenants = [find_tenant(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("name"))
        except TenantNotFound as error:
            raise CommandError(str(error)) from error
        if options["begin_anew"]:
            self._begin_anew(tenants[0], options["expect"])
            options["expect"] = None  # It was of the chain before.
        verdicts = {tenant.name: _verdict(tenant, options["expect"]) for tenant in tenants}
        if options["json"]:
            self.stdout.write(json.dumps([{"tenant": name, **asdict(verdict)} for name, verdict in verdicts.items()]))
        else:
            self.stdout.writelines(f"{name}: {_in_words(verdict)}\n" for name, verdict in verdicts.items())
        if any(verdict.fault for verdict in verdicts.values()):
            sys.exit(1)

    def _begin_anew(self, tenant: Tenant, expected: str | None) -> None:
        with transaction.atomic():
            verdict = _verdict(tenant, expected)
            if not verdict.fault:
                raise CommandError(f"the chain of {tenant.name} is whole: there is no reason to begin it anew")
            try:
                begin_anew(tenant.pk, verdict)
            except NoRoom as error:
                raise CommandError(str(error)) from error
        self.stderr.write(f"begun anew: {verdict.fault}")


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
    return replace(verdict, fault=fault)


def _in_words(verdict: Verdict) -> str:
    past = f"\n  {verdict.past}" if verdict.past else ""
    if verdict.fault:
        return f"BROKEN after {verdict.entries} entries: {verdict.fault}{past}"
    return f"{verdict.entries} entries are whole, up to {verdict.sequence}:{verdict.hash or '-'}{past}"
