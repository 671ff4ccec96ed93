"""manage.py keys list|issue|revoke|rotate --tenant NAME [--json]"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.durations import parse_duration
from database import clock
from tenants.keys import KeyProblem, has_other_admin, issue_key, keys_of, revoke_key, rotate_key
from tenants.models import ApiKey, Tenant
from tenants.names import TenantNotFound, find_tenant
from tenants.scopes import Scope

USUAL_SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)


class Command(BaseCommand):
    help = "Lists, issues, revokes and rotates the API keys of a tenant. A key is shown once, when it is issued."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = _action(actions, "list", "the tenant's keys, without their secrets")
        listing.add_argument("--all", action="store_true", help="those that were revoked, too")
        issue = _action(actions, "issue", "a new key")
        issue.add_argument("--name", default="", help="to tell keys apart")
        issue.add_argument(
            "--scopes",
            type=_scopes,
            nargs="+",
            action="extend",
            metavar="A,B",
            help=f"some of {','.join(Scope)}; default: all but admin, which stands for all and manages keys",
        )
        issue.add_argument("--expires-in", type=_duration, metavar="TIME", help="for example 90d; default: never")
        revoke = _action(actions, "revoke", "a key and its access tokens, at once")
        revoke.add_argument("key", help="its id, its shown beginning, or its name if no other key has it")
        rotate = _action(actions, "rotate", "a new key with the name and scopes of an old one")
        rotate.add_argument("key", help="as for revoke")
        rotate.add_argument(
            "--overlap",
            type=_duration,
            default=timedelta(hours=24),
            metavar="TIME",
            help="how long the old key lives on, for example 24h (the default), 3600 (seconds) or 0",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        act: dict[str, Callable[[Tenant, dict[str, Any]], None]] = {
            "list": self._list,
            "issue": self._issue,
            "revoke": self._revoke,
            "rotate": self._rotate,
        }
        try:
            act[options["action"]](find_tenant(options["tenant"]), options)
        except (TenantNotFound, KeyProblem) as error:
            raise CommandError(str(error)) from error

    def _list(self, tenant: Tenant, options: dict[str, Any]) -> None:
        keys = ApiKey.objects.filter(tenant=tenant) if options["all"] else keys_of(tenant)
        told = [_told(key) for key in keys.order_by("pk")]
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.writelines(f"{_in_words(key)}\n" for key in told)

    def _issue(self, tenant: Tenant, options: dict[str, Any]) -> None:
        lifetime = options["expires_in"]
        end = None if lifetime is None else clock.now() + lifetime
        scopes = USUAL_SCOPES if options["scopes"] is None else chain.from_iterable(options["scopes"])
        issued = issue_key(tenant, options["name"], scopes, end)
        self._show_once(issued.row, issued.text, options)

    def _revoke(self, tenant: Tenant, options: dict[str, Any]) -> None:
        key = revoke_key(tenant, _choose(tenant, options["key"]).public_id)
        if Scope.ADMIN in key.opens and not has_other_admin(tenant, key.public_id):
            self.stderr.write(
                f"warning: {tenant.name} has no other key with the scope admin; issue one with this command"
            )
        self._tell(key, options)

    def _rotate(self, tenant: Tenant, options: dict[str, Any]) -> None:
        issued = rotate_key(tenant, _choose(tenant, options["key"]).public_id, options["overlap"])
        self._show_once(issued.row, issued.text, options)

    def _tell(self, key: ApiKey, options: dict[str, Any]) -> None:
        told = _told(key)
        self.stdout.write(json.dumps(told) if options["json"] else _in_words(told))

    def _show_once(self, key: ApiKey, text: str, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({**_told(key), "api_key": text}))
        else:
            self.stdout.write(f"{_in_words(_told(key))}\nAPI key {text}\nKeep it now: it is not shown again.")


def _action(actions: Any, name: str, help_: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_)
    parser.add_argument("--tenant", required=True, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _scopes(text: str) -> tuple[Scope, ...]:
    try:
        return tuple(Scope(name.strip()) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: use some of {','.join(Scope)}") from error


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _choose(tenant: Tenant, wanted: str) -> ApiKey:
    found = [key for key in keys_of(tenant) if wanted and wanted in (str(key.public_id), key.prefix, key.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"{len(found)} keys are called {wanted!r}: name one by its id, as keys list shows it")
    raise CommandError(f"{tenant.name} has no key {wanted!r}: see keys list")


def _told(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.public_id),
        "tenant": key.tenant.name,
        "name": key.name,
        "scopes": key.scopes,
        "prefix": key.prefix,
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "last_used_at": _time(key.last_used_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _in_words(told: dict[str, Any]) -> str:
    ends = f"revoked {told['revoked_at']}" if told["revoked_at"] else f"expires {told['expires_at'] or 'never'}"
    return (
        f"{told['id']}  {told['prefix'] or '-'}  {told['name'] or '-'}  {','.join(told['scopes'])}  "
        f"{ends}  last used {told['last_used_at'] or 'never'}"
    )
