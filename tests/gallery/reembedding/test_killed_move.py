"""Whenever a move is killed, everybody is found, the gallery is of one embedder, and the next call finishes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from testkit.service import REPOSITORY
from tests.processes import living, run

KILLS = 20
SETUP = """
import sys
import django
django.setup()
from gallery.models import Picture, Reembedded, Subject, Template
from gallery.reembedding import beside, move
from config.service import service_settings
from tenants.models import Tenant
from tests.gallery.faces import face
from tests.gallery.reembedding.moving import FORMER, NEW, Service, embed_picture, embedded

PEOPLE = 200
beside.PAGE = 20
service = Service(service_settings().data_dir)


def check():
    '''Everybody is found by the embedder that the gallery is of, and no template is of another.'''
    tenant = Tenant.objects.get()
    (model_id,) = set(Template.across_tenants.values_list("model_id", flat=True))
    gallery = service.gallery(tenant)
    assert gallery.model_id == tenant.gallery_model["model_id"] == model_id
    assert set(Template.across_tenants.values_list("origin", "quality")) == {("enrolled", 0.5)}
    assert Template.across_tenants.count() == Picture.across_tenants.count() == PEOPLE
    assert set(Reembedded.across_tenants.values_list("model_id", flat=True)) <= {FORMER, NEW} - {model_id}
    for person in range(PEOPLE):
        probe = embedded(person, model_id)
        (found,) = gallery.identify(tenant, probe, 1e-3).matches
        assert found.subject_id == f"p{person}" and found.similarity > 0.999
    return tenant, model_id
"""
MAKE = f"""{SETUP}
from django.core.management import call_command
from gallery import binding, pictures
service_settings().data_dir.joinpath("face.sqlite3").touch()
call_command("migrate", verbosity=0)
tenant = Tenant.objects.create(name="acme", picture_days=30)
binding.bind(tenant, service.former.model)
protect = service.former.protection.protect
for person in range(PEOPLE):
    subject = Subject.objects.create(tenant=tenant, subject_id=f"p{{person}}")
    (vector,) = protect([embedded(person, FORMER)], tenant)
    template = Template.objects.create(
        tenant=tenant, subject=subject, model_id=FORMER, vector=vector, quality=0.5
    )
    pictures.keep(tenant, [(template, str(person).encode())], service.former.protection)
check()
"""
MOVE_FOR_EVER = f"""{SETUP}
tenant, model_id = check()
print("ready", flush=True)
sys.stdin.readline()
while True:
    target = service.new if model_id == FORMER else service.former
    model_id = target.model_id
    move(tenant, target, lambda picture: embed_picture(picture, model_id), lambda *_: None, erase_unmovable=False)
"""
FINISH = f"""{SETUP}
tenant, model_id = check()
target = service.new if model_id == FORMER else service.former
model_id = target.model_id
moved = move(tenant, target, lambda picture: embed_picture(picture, model_id), lambda *_: None, erase_unmovable=False)
assert moved.templates == PEOPLE and not Reembedded.across_tenants.exists()
check()
"""


@pytest.fixture
def installation(tmp_path: Path) -> dict[str, str]:
    paths = f"{REPOSITORY / 'face_recognition_app'}:{REPOSITORY}"
    variables = {
        "FACE_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "face_app.settings",
        "PYTHONPATH": paths,
    }
    done = run("-c", MAKE, **variables)
    assert done.returncode == 0, done.stderr
    return variables


def test_nobody_is_lost_when_a_move_is_killed_at_any_moment(installation: dict[str, str]) -> None:
    """Each process first checks what the one before left when it was killed."""
    moments = random.Random(15)
    for _ in range(KILLS):
        with living(MOVE_FOR_EVER, **installation) as process:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(moments.uniform(0, 0.6))
            assert process.poll() is None
    done = run("-c", FINISH, **installation)
    assert done.returncode == 0, done.stderr
