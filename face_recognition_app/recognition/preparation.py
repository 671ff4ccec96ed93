"""Creates what the first worker needs: models, database, keys, static files, demo tenant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from config.processes.locks import exclusive
from config.settings import Settings
from gallery.stores.pgvector.schema import prepare_database
from recognition.deciding import Deciding
from tenants.demo import ensure_demo_tenant, key_file
from web.static_files import make_static_files
from weights.catalogue import ensure_models


def prepare(settings: Settings, on_progress: Callable[[str], None], *, new_database: bool = True) -> None:
    """Create what is missing; quick when nothing is. Safe to call from several processes at once.

    `new_database` allows a missing SQLite file to be created.

    Raises ModelError when a model cannot be fetched, OperationalError when the database cannot be used, MasterKeyError
    when its templates cannot be read, NoGalleryFits when they were made by another embedder, and StoreUnusable when the
    database cannot have the store of templates that was chosen.
    """
    with exclusive(settings.run_dir / "prepare.lock"):
        ensure_models(settings.model_dir, on_progress, mirror=settings.model_mirror, fetch_optional=True)
        on_progress("models: verified")
        if new_database and connection.vendor == "sqlite":
            Path(connection.settings_dict["NAME"]).touch(0o600)
        call_command("migrate", verbosity=0, interactive=False)
        on_progress("database: migrations applied")
        if settings.gallery_store == "pgvector":
            prepare_database()
        deciding = Deciding.load(settings)  # It makes the signing key.
        for fault in deciding.prepare():
            on_progress(fault)
        if not settings.development and not settings.has_template_key:
            on_progress("templates: their master key is derived from FACE_SECRET_KEY; docs/keys.md says how to set one")
        make_static_files()
        if settings.development or settings.demo_enabled:
            ensure_demo_tenant(settings)
            on_progress(f"demo tenant: its API key is in {key_file(settings)}")
