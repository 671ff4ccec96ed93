"""manage.py reembed [--tenant NAME] [--erase-unmovable] [--json]"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from config.service import service_settings
from core.errors import ModelError
from database import write_ahead_log
from gallery.protection.errors import KeysUnavailable, MasterKeyError
from gallery.reembedding import move
from gallery.reembedding.beside import Plan, UnreadablePicture, plan
from gallery.reembedding.switching import Moved, NotMovable, why_not
from recognition.background.reembed import ALONE, embedder
from recognition.deciding import Deciding
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


class Command(BaseCommand):
    help = (
        "Moves galleries to the embedder of FACE_EMBEDDER, from the pictures that their tenants keep, while the "
        "service runs with FACE_FORMER_EMBEDDER; interrupted, it goes on when it is run again. A gallery is switched "
        "at once: until then it is served with the former embedder, and from then on with the new one."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="whose gallery; all tenants' when it is not given")
        parser.add_argument(
            "--erase-unmovable",
            action="store_true",
            help="erase templates without a picture, which cannot be moved: their people must be enrolled anew",
        )
        parser.add_argument(
            "--json", action="store_true", help="print [{tenant, model_id, templates, erased, adaptive, feedback}]"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenants = [find_tenant(options["tenant"])] if options["tenant"] else list(Tenant.objects.order_by("name"))
            deciding = Deciding.load(service_settings())
            plans = [found for tenant in tenants if (found := plan(tenant, deciding.gallery)) is not None]
            if not options["erase_unmovable"]:
                _refuse_unmovable(plans)
            moved = self._move(deciding, plans, erase_unmovable=options["erase_unmovable"])
        except (
            TenantNotFound,
            ModelError,
            MasterKeyError,
            KeysUnavailable,
            NotMovable,
            UnreadablePicture,
        ) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in moved]))
        elif not plans:
            self.stdout.write(f"every gallery is of the embedder {deciding.gallery.model_id} already")

    def _move(self, deciding: Deciding, plans: list[Plan], *, erase_unmovable: bool) -> list[Moved]:
        if not plans:
            return []
        if deciding.former is None:
            self.stderr.write(ALONE)
        embed, moved = embedder(deciding), []
        for one in plans:
            with tqdm(desc=one.tenant.name, unit=" templates", file=sys.stderr, disable=None, leave=False) as bar:
                done = move(one.tenant, deciding.gallery, embed, _told_to(bar), erase_unmovable=erase_unmovable)
            write_ahead_log.empty()
            deciding.gallery.store.refresh(one.tenant)  # So that no request waits for the index.
            self.stderr.write(_sentence(done, one))
            moved.append(done)
        deciding.gallery.store.catch_up()  # It deletes the indexes of the former embedder.
        return moved


def _refuse_unmovable(plans: list[Plan]) -> None:
    """Raises CommandError before anything is begun."""
    faults = [why_not(one.tenant, one.unmovable, one.people) for one in plans if one.unmovable]
    if faults:
        raise CommandError("\n".join([*faults, "nothing was changed"]))


def _told_to(bar: Any) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        bar.n, bar.total = done, total
        bar.refresh()

    return tell


def _sentence(moved: Moved, planned: Plan) -> str:
    parts = [f"{moved.tenant}: {moved.templates} templates are now of the embedder {moved.model_id}"]
    if moved.erased:
        parts.append(f"{moved.erased} that could not be moved were erased")
    if moved.adaptive:
        parts.append(f"{moved.adaptive} adaptive ones were deleted, and come back by recognitions")
    if moved.feedback:
        parts.append(f"{moved.feedback} rejected pictures (feedback) were deleted, since they cannot be embedded anew")
    if planned.tenant.calibration is not None:
        parts.append("its calibration holds no longer: run manage.py calibrate")
    return "; ".join(parts)
