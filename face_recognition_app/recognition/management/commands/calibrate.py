"""manage.py calibrate [--tenant NAME] [--lfw DIR] [--dry-run | --forget]"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.chain import Detail, Event, record
from config.service import service_settings
from core.errors import ModelError
from core.features.embedder.false_matches import TooFewPairs
from database import clock
from gallery.matching import Gallery
from gallery.models import Template
from gallery.rates.calibration import Calibration, calibration_of, read, read_impostors, store
from gallery.rates.identification_rates import Compared, Labelled, Rate, TooFewSubjects, compare_all
from gallery.thresholds import threshold_for
from recognition.deciding import Deciding
from recognition.management.progress import progress
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant
from vocabulary.audit import AuditKind

_TARGETS = (1e-1, 1e-2, 1e-3)


class Command(BaseCommand):
    help = (
        "Measures how often people are taken for each other in a tenant's gallery, or in a folder of pictures, prints "
        "the error rates of searches, and holds the tenant's searches to it. Several templates that were made at one "
        "time look alike: they make people who are not found seem fewer than they will be."
    )
    requires_system_checks: list[str] = []  # They load the API, and with it the engine.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="NAME", help="whose searches are calibrated, by its own templates")
        parser.add_argument("--lfw", metavar="DIR", type=Path, help="by pictures: one folder for each person")
        parser.add_argument("--dry-run", action="store_true", help="measure and store nothing")
        parser.add_argument("--forget", action="store_true", help="use the embedder's own rates again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = None if options["tenant"] is None else find_tenant(options["tenant"])
            deciding = Deciding.load(service_settings())
            if options["forget"]:
                self._forget(tenant)
                return
            gallery = deciding.gallery if tenant is None else deciding.gallery_of(tenant)
            if tenant is not None:
                details: dict[str, Detail] = {"templates": _templates(tenant, gallery)}
                record(tenant.pk, Event(AuditKind.GALLERY_COMPARED, None, details))
            labelled = _labelled(deciding, gallery, tenant, options["lfw"])
            self._calibrate(deciding, gallery, tenant, labelled, keep=tenant is not None and not options["dry_run"])
        except (TenantNotFound, ModelError, TooFewSubjects, TooFewPairs) as error:
            raise CommandError(str(error)) from error

    def _forget(self, tenant: Tenant | None) -> None:
        if tenant is None:
            raise CommandError("whose calibration is to be forgotten? Name a --tenant")
        store(tenant, None)
        self.stdout.write(f"searches of {tenant.name} use the embedder's own rates")

    def _calibrate(
        self, deciding: Deciding, gallery: Gallery, tenant: Tenant | None, labelled: Labelled, *, keep: bool
    ) -> None:
        compared = compare_all(labelled, progress("templates"))
        if tenant is not None:
            rejected = read_impostors(tenant, gallery.model_id, gallery.protection)
            compared = replace(compared, impostors=np.concatenate([compared.impostors, rejected]))
        found = compared.measure(gallery.profile.tail_shape)
        held = 0 if tenant is None else _templates(tenant, gallery)
        size, pairs = max(held, compared.templates), len(compared.impostors)
        calibration = Calibration(gallery.model_id, size, compared.subjects, pairs, clock.now(), found)
        if tenant is not None:
            self._tell_last(tenant, gallery, held)
        self.stdout.write(_table(compared, calibration, gallery, deciding.settings.target_fpir))
        if keep and tenant is not None:
            store(tenant, calibration)
            self.stdout.write(f"stored: searches of {tenant.name} are held to it from now on")

    def _tell_last(self, tenant: Tenant, gallery: Gallery, templates: int) -> None:
        last = calibration_of(tenant)
        if last is not None:
            fault = last.fault(gallery.model_id, templates)
            self.stdout.write(f"last calibrated {last.measured_at:%Y-%m-%d %H:%M}: {fault or 'it still held'}")


def _labelled(deciding: Deciding, gallery: Gallery, tenant: Tenant | None, folder: Path | None) -> Labelled:
    if folder is not None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder")
        return _of_pictures(deciding, gallery, folder)
    if tenant is None:
        raise CommandError("name a --tenant, or pictures with --lfw")
    return read(tenant, gallery.model_id, gallery.protection)


def _of_pictures(deciding: Deciding, gallery: Gallery, folder: Path) -> Labelled:
    from core.imaging.frames import ImageLimits
    from recognition.labelled_pictures import embed_folder
    from recognition.worker import load_engine

    engine = load_engine(deciding, pool_size=1)
    settings = deciding.settings
    try:
        limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
        return embed_folder(engine, gallery.model_id, folder, limits, progress("pictures"))
    finally:
        engine.close()


def _templates(tenant: Tenant, gallery: Gallery) -> int:
    return Template.objects.filter(tenant=tenant, model_id=gallery.model_id).count()


def _table(compared: Compared, calibration: Calibration, gallery: Gallery, target_fpir: float) -> str:
    """Rates at the measured thresholds and at those of the embedder's profile, for the templates that were compared."""
    own = calibration.profile(gallery.profile)
    lines = [
        f"{compared.templates} templates of {compared.subjects} people, {calibration.pairs} pairs of different people",
        f"{'target':>8}  {'':10}{'threshold':>9}  {'FPIR':>8}  {'95 % limits':>19}  {'FNIR':>8}  {'95 % limits':>19}",
    ]
    for target in sorted({*_TARGETS, target_fpir}, reverse=True):
        for name, profile in (("calibrated", own), ("shipped", gallery.profile)):
            threshold = threshold_for(target, compared.templates, profile)
            rates = f"{_rate(compared.fpir(threshold))}  {_rate(compared.fnir(threshold))}"
            lines.append(f"{target:8.0e}  {name:10}{threshold:9.3f}  {rates}")
    return "\n".join(lines)


def _rate(rate: Rate) -> str:
    if not rate.tries:
        return f"{'-':>8}  {'nobody has a second':>19}"
    return f"{rate.value:8.5f}  {rate.low:8.5f} - {rate.high:8.5f}"
