"""A process that is killed while it renews a person leaves all old templates or all new ones."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

KILLS = 4
TEMPLATES = 3
RENEWALS = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from config.service import service_settings
from gallery.matching import make_gallery
from gallery.models import Renewal
from gallery.people import EnrollmentRules, Sample
from tests.enrolling import enroll
from tenants.models import Tenant
from tests.gallery.faces import face, picture
tenant, _ = Tenant.objects.get_or_create(name="acme")
gallery, rules = make_gallery(service_settings(), "model-a"), EnrollmentRules(True, 1e-3, 1e-4)
for number in range(2_000):
    samples = [Sample(picture(face(1), 0.9, seed), number / 2_000) for seed in range({templates})]
    enroll(tenant, "alice", samples, gallery, rules, renewal=Renewal.REPLACE)
    print(number, flush=True)
"""


def test_a_kill_leaves_the_old_templates_or_the_new_ones(tmp_path: Path) -> None:
    file = tmp_path / "gallery.sqlite3"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{file}",
        "DJANGO_SETTINGS_MODULE": "face_app.settings",
        "FACE_DATA_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", RENEWALS.format(templates=TEMPLATES)]
    for _ in range(KILLS):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"0\n"
            time.sleep(random.uniform(0, 0.1))
            process.kill()
        with closing(sqlite3.connect(file)) as database:
            held = database.execute("SELECT count(*), count(DISTINCT quality) FROM gallery_template").fetchone()
        assert held == (TEMPLATES, 1)
