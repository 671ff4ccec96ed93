"""Everything that must be there before the first worker: models, database, keys, demo tenant."""

from __future__ import annotations

from collections.abc import Callable

from django.core.management import call_command

from core.models import ensure_models
from ops.locks import exclusive
from ops.settings import Settings
from recognition.signing import Signer
from tenants.demo import ensure_demo_tenant


def prepare(settings: Settings, on_progress: Callable[[str], None]) -> None:
    """Make what is missing; quick when nothing is. Safe to call from several processes at once.

    Raises ModelError when a model cannot be had.
    """
    with exclusive(settings.run_dir / "prepare.lock"):
        ensure_models(settings.model_dir, on_progress)
        on_progress("models: verified")
        call_command("migrate", verbosity=0, interactive=False)
        on_progress("database: migrations applied")
        Signer.load(settings.data_dir)
        if settings.development or settings.demo_enabled:
            ensure_demo_tenant(settings)
            on_progress(f"demo tenant: its API key is in {settings.data_dir / 'demo-api-key'}")
