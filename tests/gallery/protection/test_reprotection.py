"""A tenant's secret is replaced while the service runs, and whatever interrupts that, nothing is lost."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from config.service import service_settings
from database import clock
from database.calls import with_connection
from gallery import pictures
from gallery.matching import Gallery
from gallery.models import Picture, Subject, Template, TemplateKey
from gallery.people import Sample
from gallery.protection import reprotection
from gallery.protection.errors import KeysUnavailable, SecretGone
from gallery.protection.reprotection import Rotated, UnreadableTemplate, rotate
from gallery.protection.sealed import header
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, enrol, face, search, secrets_of
from tests.gallery.workers import gallery_of
from tests.processes import living, run

ROUNDING = 1e-6
each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture
def crowd(tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> int:
    """A tenant with ten people, of whom an older version enrolled three, in pages of three."""
    monkeypatch.setattr(reprotection, "PAGE", 3)
    for number in range(10):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    for number in range(3):
        Template.across_tenants.filter(subject__subject_id=f"p{number}").update(
            vector=face(number).astype("<f4").tobytes()
        )
    return 10


def epochs() -> set[bytes]:
    return {bytes(one)[:5] for one in Template.across_tenants.values_list("vector", flat=True)}


def keys_of(tenant: Tenant) -> list[tuple[int, bool]]:
    """Epoch of each secret, and whether it is retired."""
    kept = TemplateKey.objects.filter(tenant=tenant).order_by("epoch").values_list("epoch", "retired_at")
    return [(epoch, at is not None) for epoch, at in kept]


def assert_everybody_is_found(gallery: Gallery, tenant: Tenant, number: int) -> None:
    for person in range(number):
        compared = gallery.verify(tenant, f"p{person}", face(person), 1e-4)
        assert compared is not None
        assert compared.similarity == pytest.approx(1, abs=ROUNDING)
        (found,) = search(gallery, tenant, face(person), 1)
        assert found.subject_id == f"p{person}"
        assert found.similarity == pytest.approx(1, abs=ROUNDING)


@each_database
def test_every_template_is_protected_by_a_new_secret(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, other_worker: Gallery, crowd: int, tmp_path: Path
) -> None:
    enrol(other_tenant, "eve", face(50), gallery=gallery)
    progress: list[tuple[int, int]] = []
    done = rotate(tenant, secrets_of(gallery), lambda *told: progress.append(told))
    assert done == Rotated("acme", 2, crowd, resumed=False)
    assert progress == [(0, 10), (3, 10), (6, 10), (9, 10), (10, 10)]
    assert {bytes(one.vector)[:5] for one in Template.objects.filter(tenant=tenant)} == {header(2)}
    assert (keys_of(tenant), keys_of(other_tenant)) == ([(1, True), (2, False)], [(1, False)])
    for worker in (gallery, other_worker, gallery_of(tmp_path)):
        assert_everybody_is_found(worker, tenant, crowd)
    assert rotate(tenant, secrets_of(other_worker), lambda *_: None).epoch == 3


@each_database
def test_people_are_enrolled_and_found_meanwhile(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, crowd: int
) -> None:
    known = crowd

    def enrol_and_find() -> None:
        enrol(tenant, f"p{known}", face(known), gallery=other_worker)
        assert_everybody_is_found(other_worker, tenant, known + 1)

    with ThreadPoolExecutor(1) as threads:

        def on_page(*_: int) -> None:
            nonlocal known
            threads.submit(with_connection, enrol_and_find).result(60)
            known += 1

        rotate(tenant, secrets_of(gallery), on_page)
    assert known > crowd + 3
    assert epochs() == {header(2)}
    assert_everybody_is_found(gallery, tenant, known)


@each_database
def test_an_enrolment_that_began_with_the_old_secret_is_protected_anew(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery, crowd: int
) -> None:
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            enrol(tenant, "p10", face(10), gallery=gallery)
            rotation = threads.submit(with_connection, rotate, tenant, secrets_of(other_worker), lambda *_: None)
            time.sleep(0.2)
        assert rotation.result(60).templates == crowd + 1
    assert epochs() == {header(2)}


@each_database
def test_an_interrupted_rotation_goes_on(tenant: Tenant, gallery: Gallery, other_worker: Gallery, crowd: int) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        rotate(tenant, secrets_of(gallery), interrupt)
    assert len(epochs()) > 1
    assert keys_of(tenant) == [(1, False), (2, False)]
    assert_everybody_is_found(other_worker, tenant, crowd)
    assert rotate(tenant, secrets_of(other_worker), lambda *_: None) == Rotated("acme", 2, 4, resumed=True)
    assert epochs() == {header(2)}


@each_database
def test_pictures_are_sealed_with_the_new_secret_too(tenant: Tenant, gallery: Gallery) -> None:
    Tenant.objects.update(picture_days=30)
    for number in range(5):
        enroll(tenant, f"p{number}", [Sample(face(number), 0.9, f"crop {number}".encode())], gallery, RULES)
    assert rotate(tenant, secrets_of(gallery), lambda *_: None).templates == 10
    reprotection.finish(tenant)
    rows = list(Picture.objects.filter(tenant=tenant).order_by("pk"))
    assert [pictures.content_of(row, tenant, gallery.protection) for row in rows] == [
        f"crop {number}".encode() for number in range(5)
    ]
    TemplateKey.objects.filter(tenant=tenant).delete()
    with pytest.raises(SecretGone):
        pictures.content_of(rows[0], tenant, gallery.protection)


def test_a_template_that_cannot_be_read_is_named_and_keeps_the_old_secret(
    tenant: Tenant, gallery: Gallery, crowd: int
) -> None:
    broken = Template.across_tenants.get(subject__subject_id="p5")
    Template.across_tenants.filter(pk=broken.pk).update(vector=header(1) + bytes(1_052))
    with pytest.raises(UnreadableTemplate, match=f"template {broken.public_id} of p5 of tenant acme cannot be read"):
        rotate(tenant, secrets_of(gallery), lambda *_: None)
    assert keys_of(tenant) == [(1, False), (2, False)]
    Subject.across_tenants.get(subject_id="p5").delete()
    assert rotate(tenant, secrets_of(gallery), lambda *_: None).resumed


def test_a_retired_secret_is_deleted_when_nothing_can_need_it(tenant: Tenant, gallery: Gallery, crowd: int) -> None:
    old_epoch = gallery.protection.epoch(tenant)
    rotate(tenant, secrets_of(gallery), lambda *_: None)
    settings, now = service_settings(), clock.now()
    assert not reprotection.retired(settings, now + timedelta(days=1)).exists()
    assert reprotection.retired(settings, now + timedelta(days=1, hours=1)).get().epoch == 1
    old_index = gallery.protection.turn(face(1)[None], tenant, old_epoch)
    assert old_index.shape == (1, 512)
    assert reprotection.finish(tenant) == 1
    assert keys_of(tenant) == [(2, False)]
    with pytest.raises(KeysUnavailable, match="the secret of epoch 1 of tenant acme was deleted"):
        gallery.protection.turn(face(1)[None], tenant, old_epoch)


SETUP = """
import sys
import django
django.setup()
import numpy as np
from config.service import service_settings
from gallery.matching import make_gallery
from gallery.models import Subject, Template, TemplateKey
from gallery.protection import Protected, reprotection
from tenants.models import Tenant

gallery = make_gallery(service_settings(), "model-a")
faces = np.random.default_rng(0).standard_normal((400, 512)).astype(np.float32)
faces /= np.linalg.norm(faces, axis=1, keepdims=True)


def check():
    tenant = Tenant.objects.get()
    rows = list(Template.across_tenants.order_by("pk").values_list("vector", flat=True))
    restored = gallery.protection.restore([Protected(bytes(row)) for row in rows], tenant)
    assert len(restored) == len(faces)
    assert np.abs(restored @ faces.T - faces @ faces.T).max() < 1e-5
    return tenant
"""
MAKE = f"""{SETUP}
from django.core.management import call_command
service_settings().data_dir.joinpath("face.sqlite3").touch()
call_command("migrate", verbosity=0)
tenant = Tenant.objects.create(name="acme")
subject = Subject.objects.create(tenant=tenant, subject_id="crowd")
vectors = [face.astype("<f4").tobytes() for face in faces[:100]] + gallery.protection.protect(faces[100:], tenant)
Template.objects.bulk_create(
    Template(tenant=tenant, subject=subject, model_id="model-a", vector=vector, quality=1.0) for vector in vectors
)
check()
"""
ROTATE_FOR_EVER = f"""{SETUP}
tenant = check()
secrets = gallery.protection.secrets
print("ready", flush=True)
sys.stdin.readline()
while True:
    reprotection.rotate(tenant, secrets, lambda done, total: None)
    reprotection.finish(tenant)
"""
KILLS = 5
"""Of templates that were stored plain before; test_kills.py has twenty for each store and database."""


@pytest.fixture
def installation(tmp_path: Path) -> dict[str, str]:
    variables = {"FACE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "face_app.settings"}
    done = run("-c", MAKE, **variables)
    assert done.returncode == 0, done.stderr
    return variables


def test_nothing_is_lost_when_the_rotation_is_killed_at_any_moment(installation: dict[str, str]) -> None:
    """Each process first checks what the one before left when it was killed."""
    moments = random.Random(15)
    for _ in range(KILLS):
        with living(ROTATE_FOR_EVER, **installation) as process:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(moments.uniform(0, 0.6))
            assert process.poll() is None
    done = run("manage.py", "rotate_keys", "--finish", "--json", **installation)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["tenant"] for one in told["rotated"]] == ["acme"]
    assert told["deleted"] >= 1
    checked = run("-c", f"{SETUP}\ncheck()\nprint(TemplateKey.across_tenants.count())", **installation)
    assert checked.stdout == "1\n", checked.stderr
