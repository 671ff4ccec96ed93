"""Makes a database as release 0.2.0 left it, with a tenant of that time.

Arguments are an API key and a session's id, standard input an embedding. The rows are written with the models as the
migrations of that release have them.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

from config.embedders import in_use  # noqa: E402
from config.service import service_settings  # noqa: E402

RELEASE = [
    ("gallery", "0002_template_changes"),
    ("recognition", "0007_lease_number"),
    ("tenants", "0003_several_keys_with_scopes"),
]
SCOPES = ["sessions", "subjects", "faces", "read", "admin"]


def main(key: str, session_id: str, embedding: bytes) -> None:
    service_settings().data_dir.mkdir(parents=True, exist_ok=True)
    if connection.vendor == "sqlite":
        Path(settings.DATABASES["default"]["NAME"]).touch(0o600)
    executor = MigrationExecutor(connection)
    executor.migrate(RELEASE)
    models = executor.loader.project_state(RELEASE).apps
    tenant = models.get_model("tenants", "Tenant").objects.create(name="acme", gallery_version=1)
    models.get_model("tenants", "ApiKey").objects.create(
        tenant=tenant, name="default", scopes=SCOPES, key_hash=hashlib.sha256(key.encode()).hexdigest()
    )
    subject = models.get_model("gallery", "Subject").objects.create(
        tenant=tenant, subject_id="alice", metadata={"since": "0.2.0"}
    )
    template = models.get_model("gallery", "Template").objects.create(
        tenant=tenant, subject=subject, model_id=in_use(service_settings()).model_id, vector=embedding, quality=0.9
    )
    models.get_model("gallery", "TemplateChange").objects.create(
        tenant=tenant, revision=1, template_pk=template.pk, added=True
    )
    session = models.get_model("recognition", "Session").objects.create(
        id=session_id,
        tenant=tenant,
        kind="authentication",
        subject_id="alice",
        liveness="passive",
        target_samples=1,
        status="succeeded",
        token_hash="t" * 64,
        request_digest="d" * 64,
        expires_at=datetime(2999, 1, 1, tzinfo=UTC),
    )
    models.get_model("recognition", "Decision").objects.create(
        session=session,
        tenant=tenant,
        success=True,
        subject_id="alice",
        similarity=0.9,
        threshold=0.5,
        liveness="passed",
        token="a.b.c",
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.buffer.read())
