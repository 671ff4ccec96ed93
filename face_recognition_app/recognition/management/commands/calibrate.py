"""manage.py calibrate [--tenant NAME] [--lfw DIR] [--dry-run | --forget]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.service import service_settings
from core.errors import ModelError
from core.features.embedder.false_matches import TooFewPairs
from gallery.matching import Gallery
from gallery.rates.calibration import read, store
from gallery.rates.identification_rates import Labelled, Rate, TooFewSubjects
from gallery.rates.measuring import Measured, measure, rates, record_comparison
from recognition.deciding import Deciding
from recognition.management.progress import progress
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant


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
                record_comparison(tenant, gallery)
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
        measured = measure(gallery, tenant, labelled, progress("templates"))
        if measured.last is not None:
            fault = measured.last.fault(gallery.model_id, measured.held)
            self.stdout.write(f"last calibrated {measured.last.measured_at:%Y-%m-%d %H:%M}: {fault or 'it still held'}")
        self.stdout.write(_table(measured, gallery, deciding.settings.target_fpir))
        if keep and tenant is not None:
            store(tenant, measured.calibration)
            self.stdout.write(f"stored: searches of {tenant.name} are held to it from now on")


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


def _table(measured: Measured, gallery: Gallery, target_fpir: float) -> str:
    """Rates at the measured thresholds and at those of the embedder's profile, for the templates that were compared."""
    compared = measured.compared
    pairs = measured.calibration.pairs
    lines = [
        f"{compared.templates} templates of {compared.subjects} people, {pairs} pairs of different people",
        f"{'target':>8}  {'':10}{'threshold':>9}  {'FPIR':>8}  {'95 % limits':>19}  {'FNIR':>8}  {'95 % limits':>19}",
    ]
    for at in rates(measured, gallery, target_fpir):
        name = "calibrated" if at.calibrated else "shipped"
        lines.append(f"{at.target:8.0e}  {name:10}{at.threshold:9.3f}  {_rate(at.fpir)}  {_rate(at.fnir)}")
    return "\n".join(lines)


def _rate(rate: Rate) -> str:
    if not rate.tries:
        return f"{'-':>8}  {'nobody has a second':>19}"
    return f"{rate.value:8.5f}  {rate.low:8.5f} - {rate.high:8.5f}"
