"""manage.py find_duplicates --tenant NAME [--limit N] [--json]"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.service import service_settings
from core.errors import ModelError
from gallery.models import Subject
from gallery.upkeep.duplicates import DuplicatePair, begin, find
from recognition.deciding import Deciding
from recognition.management.progress import progress
from tenants.names import TenantNotFound, find_tenant

_LIMIT = 1_000


class Command(BaseCommand):
    help = (
        "Searches a tenant's gallery for people who are enrolled under several subjects, and prints each pair of "
        "subjects: what the check for duplicates would refuse today. Changes nothing."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", required=True, help="whose gallery is searched")
        parser.add_argument("--limit", metavar="N", type=int, default=_LIMIT, help=f"most pairs (default {_LIMIT})")
        parser.add_argument(
            "--json",
            action="store_true",
            help="print one line for each pair: {subjects, display_names, similarity, threshold}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit is 1 or more")
        try:
            tenant = find_tenant(options["tenant"])
            deciding = Deciding.load(service_settings())
        except (TenantNotFound, ModelError) as error:
            raise CommandError(str(error)) from error
        found, target = 0, deciding.settings.target_fpir
        pairs = find(tenant, deciding.gallery_of(tenant), target, progress("subjects"), begin(tenant))
        for pair in islice(pairs, options["limit"]):
            found += 1
            self.stdout.write(_as_json(pair) if options["json"] else _in_words(pair))
        if options["json"]:
            return
        if found == options["limit"]:
            self.stdout.write(f"stopped at {found} pairs")
            return
        subjects = Subject.objects.filter(tenant=tenant).count()
        self.stdout.write(
            f"{found} pairs among {subjects} subjects; {subjects * target:.2g} of different people are expected"
        )


def _as_json(pair: DuplicatePair) -> str:
    return json.dumps(
        {
            "subjects": pair.subjects,
            "display_names": pair.display_names,
            "similarity": pair.similarity,
            "threshold": pair.threshold,
        }
    )


def _in_words(pair: DuplicatePair) -> str:
    one, other = (
        f"{subject} ({name})" if name else subject
        for subject, name in zip(pair.subjects, pair.display_names, strict=True)
    )
    return f"{pair.similarity:.7f}  {one}  {other}"
