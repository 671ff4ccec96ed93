"""manage.py tenants list|rename|delete [--json]"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.retention.tenant_end import Belongings, belongings, delete_tenant
from tenants.models import Tenant
from tenants.names import InvalidTenantName, TenantExists, TenantNotFound, find_tenant, rename_tenant


class Command(BaseCommand):
    help = "Lists tenants with what they have, renames one, or deletes one with everything of theirs."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        _action(actions, "list", "every tenant")
        rename = _action(actions, "rename", "its keys, people and sessions stay")
        rename.add_argument("name")
        rename.add_argument("new_name", help="1 to 63 of a-z, 0-9 and -")
        delete = _action(actions, "delete", "with its keys, people, templates, sessions and all else")
        delete.add_argument("name")
        delete.add_argument("--yes", action="store_true", help="do not ask for the name again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["action"]:
                case "list":
                    self._list(options["json"])
                case "rename":
                    self._rename(options["name"], options["new_name"], options["json"])
                case "delete":
                    self._delete(options["name"], options["yes"], options["json"])
        except (TenantNotFound, TenantExists, InvalidTenantName) as error:
            raise CommandError(str(error)) from error

    def _list(self, as_json: bool) -> None:
        found = [(tenant, belongings(tenant)) for tenant in Tenant.objects.order_by("name")]
        if as_json:
            self.stdout.write(json.dumps([_told(tenant, has) for tenant, has in found]))
        else:
            self.stdout.writelines(f"{tenant.name}: {_in_words(has)}\n" for tenant, has in found)

    def _rename(self, name: str, new_name: str, as_json: bool) -> None:
        tenant = rename_tenant(name, new_name)
        self.stdout.write(json.dumps({"tenant": tenant.name}) if as_json else f"{name} is now {tenant.name}")

    def _delete(self, name: str, sure: bool, as_json: bool) -> None:
        tenant = find_tenant(name)
        had = belongings(tenant)
        if not sure:
            _ask(f"This deletes {name} with {_in_words(had)}, for good. Type its name to go on: ", name)
        delete_tenant(tenant)
        deleted = {"tenant": name, "deleted": asdict(had)}
        self.stdout.write(json.dumps(deleted) if as_json else f"deleted {name}: {_in_words(had)}")


def _action(actions: Any, name: str, help_: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _ask(question: str, expected: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to ask: say --yes")
    if input(question) != expected:
        raise CommandError("that was another name; nothing was deleted")


def _told(tenant: Tenant, has: Belongings) -> dict[str, Any]:
    return {"tenant": tenant.name, "created_at": tenant.created_at.isoformat(timespec="seconds"), **asdict(has)}


def _in_words(has: Belongings) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in asdict(has).items())
