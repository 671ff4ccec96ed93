"""A gallery of an older version is used after an upgrade without a step by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from gallery.matching import Gallery
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, search

BEFORE = [("gallery", "0004_subject_display_name"), ("tenants", "0006_calibration")]


@pytest.fixture
def before(transactional_db: None) -> Iterator[Any]:
    """The models of the version that stored templates as they were, on a database of that version."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps
    upgrade()


def upgrade() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_templates_that_were_stored_as_they_were_are_compared(before: Any, gallery: Gallery) -> None:
    tenants = [before.get_model("tenants", "Tenant").objects.create(name=name) for name in ("acme", "empty")]
    subject = before.get_model("gallery", "Subject").objects.create(tenant=tenants[0], subject_id="alice")
    for model, seed in (("model-before", 9), (gallery.model_id, 1)):
        before.get_model("gallery", "Template").objects.create(
            tenant=tenants[0], subject=subject, model_id=model, vector=face(seed).astype("<f4").tobytes(), quality=1.0
        )
    upgrade()
    acme, empty = Tenant.objects.order_by("name")
    assert acme.gallery_model == {"model_id": gallery.model_id, "digest": gallery.model_id, "dimension": 512}
    assert empty.gallery_model is None
    assert gallery.prepare() == []
    (found,) = search(gallery, acme, face(1), 1)
    assert (found.subject_id, round(found.similarity, 3)) == ("alice", 1.0)
    enrol(acme, "bob", face(2), gallery=gallery)
    compared = gallery.verify(acme, "alice", face(1), 1e-4)
    assert compared is not None
    assert compared.matches
