"""manage.py rotate_keys, and what a start says of keys and models that do not fit."""

from __future__ import annotations

import base64
import json
import secrets
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from config.service import service_settings
from gallery.matching import Gallery
from gallery.models import Template, TemplateKey
from gallery.protection.sealed import header
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, search
from tests.gallery.workers import gallery_of


def rotate_keys(*options: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *options, stdout=out)
    return out.getvalue()


def rotated(*options: str) -> dict[str, Any]:
    return dict(json.loads(rotate_keys("--json", *options)))


@pytest.fixture
def people(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(2), gallery=gallery)


def configure(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    changed = service_settings().model_copy(update={"template_key": ",".join(keys)})
    monkeypatch.setattr(django_settings, "FACE", changed)


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.mark.usefixtures("people")
def test_every_tenant_or_one_gets_a_new_secret() -> None:
    assert rotated("--tenant", "acme")["rotated"] == [{"tenant": "acme", "epoch": 2, "templates": 1, "resumed": False}]
    kept = Template.across_tenants.values_list("vector", flat=True)
    assert {bytes(one)[:5] for one in kept} == {header(1), header(2)}
    assert [(one["tenant"], one["epoch"]) for one in rotated()["rotated"]] == [("acme", 3), ("globex", 2)]
    assert rotated("--tenant", "globex", "--finish")["deleted"] == 2
    assert "globex: 1 templates are now of epoch 4" in rotate_keys("--tenant", "globex")
    recorded = AuditEntry.across_tenants.filter(kind="template_key_rotated").order_by("tenant__name", "sequence")
    assert [entry.details["epoch"] for entry in recorded] == [2, 3, 2, 3, 4]


@pytest.mark.usefixtures("people")
def test_a_new_master_key_wraps_what_older_ones_have_wrapped(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_key(), new_key()
    for keys in ((first,), (second, first)):
        configure(monkeypatch, *keys)
        assert [one.subject_id for one in search(gallery_of(tmp_path), tenant, face(1), 1)] == ["alice"]
        assert rotated("--master") == {"rewrapped": 2, "rotated": [], "deleted": 0}
    configure(monkeypatch, second)
    gallery_of(tmp_path).prepare()
    configure(monkeypatch, first)
    with pytest.raises(CommandError, match=r"was wrapped by the master key .* give that key, too"):
        rotated("--master")


@pytest.mark.usefixtures("people")
def test_faults_are_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="nobody"):
        rotated("--tenant", "nobody")
    configure(monkeypatch, "c2hvcnQ=")
    with pytest.raises(CommandError, match="key 1 of FACE_TEMPLATE_KEY has 5 bytes"):
        rotated()
    assert TemplateKey.across_tenants.count() == 2
