"""manage.py rotate_signing_key [--overlap 24h] [--json]"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from audit.chain import Event, NoChain, record
from config.durations import parse_duration
from config.service import service_settings
from recognition.tokens.signing import LEEWAY_S
from recognition.tokens.signing_keys import CURRENT, UnusableKeyFile, make_signing_key, rotate
from tenants.models import Tenant
from vocabulary.audit import AuditKind


class Command(BaseCommand):
    help = (
        "Signs decisions and access tokens with a new key from now on, in every worker. "
        "The old public key stays in /.well-known/jwks.json for the overlap; its private key is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--overlap",
            default="24h",
            help="how long tokens of the old key verify, for example 24h or 3600 (seconds); "
            "0: every older key is dropped at once, because one leaked",
        )
        parser.add_argument("--json", action="store_true", help="print {kid, published} as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            overlap_s = _overlap_s(options["overlap"])
            directory = make_signing_key(service_settings().data_dir)
            _become_owner(directory / CURRENT)
            keys = rotate(directory, overlap_s)
        except (ValueError, OSError, UnusableKeyFile) as error:
            raise CommandError(str(error)) from error
        self._record(keys.key_id)
        published = list(keys.public_keys())
        if options["json"]:
            self.stdout.write(json.dumps({"kid": keys.key_id, "published": published}))
        else:
            self.stdout.write(f"signs now: {keys.key_id}\npublished: {', '.join(published)}")

    def _record(self, key_id: str) -> None:
        """Record the rotation with every tenant. It is done, whether the database can be used or not."""
        try:
            for tenant in Tenant.objects.all():
                record(tenant.pk, Event(AuditKind.SIGNING_KEY_ROTATED, None, {"kid": key_id}))
        except (DatabaseError, NoChain) as error:
            self.stderr.write(f"warning: the rotation could not be recorded in the audit trail: {error}")


def _overlap_s(text: str) -> int:
    overlap_s = int(parse_duration(text).total_seconds())
    settings = service_settings()
    longest = max(settings.access_token_ttl_s, settings.decision_token_ttl_s)
    if 0 < overlap_s <= longest + LEEWAY_S:
        raise ValueError(
            f"tokens live for {longest} s and {LEEWAY_S} s of leeway: "
            "let the old key verify for longer, or 0 to drop it at once"
        )
    return overlap_s


def _become_owner(path: Path) -> None:
    """Switch to the owner of `path`: files that root writes with mode 600 are unreadable for the service."""
    owner = path.stat()
    if os.geteuid() == 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    elif os.geteuid() != owner.st_uid:
        raise ValueError(f"{path} belongs to another user: run this as root, or as the user of the service")
