"""A large gallery is mapped by workers, who are no larger for it, and its index is made anew beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.processes.memory import private_bytes
from testkit import loopback
from testkit.clips import encode_jpeg, grace_hopper
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, running_service

TEMPLATES = 40_000
FILE_BYTES = TEMPLATES * (512 + 1_024 + 64)
WORKING_BYTES = 48 << 20
"""More than a worker takes for reading a page of templates, on each of its threads, and less than the gallery."""
FACE = encode_jpeg(grace_hopper())
FILL = f"""
import numpy as np
from config.service import service_settings
from gallery import changes
from gallery.models import Subject, Template
from recognition.deciding import Deciding
from tenants.models import Tenant
gallery = Deciding.load(service_settings()).gallery
tenant = Tenant.objects.get(name="demo")
subject = Subject.objects.create(tenant=tenant, subject_id="crowd")
faces = np.random.default_rng(1).standard_normal(({TEMPLATES}, 512), np.float32)
faces /= np.linalg.norm(faces, axis=1, keepdims=True)
made = Template.objects.bulk_create((
    Template(tenant=tenant, subject=subject, model_id=gallery.model_id, quality=1.0, vector=vector)
    for vector in gallery.protection.protect(faces, tenant)), batch_size=2000)
changes.log(tenant.pk, [template.pk for template in made], added=True)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    with running_service(tmp_path_factory.mktemp("large"), workers=1, pool_size=1) as service:
        yield service


def manage(service: LiveService, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(REPOSITORY / "face_recognition_app" / "manage.py"), *arguments]
    variables = {**os.environ, "FACE_DATA_DIR": str(service.data_dir), "GUNICORN_LOG_LEVEL": "warning"}
    variables.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    told, errors = process.communicate(timeout=5 * PATIENCE_S)
    assert process.returncode == 0, errors
    return told


def matches(service: LiveService) -> list[str]:
    found = loopback.post(
        f"{service.base_url}/api/v1/faces/search/",
        files={"image": ("face.jpg", FACE, "image/jpeg")},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=2 * PATIENCE_S,
    )
    assert found.status_code == 200, found.text
    return [match["subject_id"] for match in found.json()["matches"]]


def mapped_bytes(pid: int) -> int:
    return sum(mapped.rss for mapped in psutil.Process(pid).memory_maps() if mapped.path.endswith("/rows"))


def test_a_gallery_is_mapped_and_made_anew_beside_the_worker(service: LiveService) -> None:
    (worker,) = psutil.Process(service.pid).children()
    enrolled = loopback.post(
        f"{service.base_url}/api/v1/subjects/grace/templates/",
        files={"images": ("face.jpg", FACE, "image/jpeg")},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=PATIENCE_S,
    )
    assert enrolled.status_code == 201, enrolled.text
    assert matches(service) == ["grace"]
    before = private_bytes(worker.pid)
    finished(manage(service, "shell", "-c", FILL))
    assert matches(service) == ["grace"]
    assert mapped_bytes(worker.pid) > FILE_BYTES * 0.3, "the search has read the codes"
    assert private_bytes(worker.pid) - before < WORKING_BYTES < FILE_BYTES, "the gallery is not the worker's own memory"

    for wait_s in (0.5, 1.0, 1.5):  # Killed on its way, the command leaves the index that there was.
        rebuilding = manage(service, "rebuild_index", "--tenant", "demo")
        threading.Event().wait(wait_s)
        rebuilding.send_signal(signal.SIGKILL)
        rebuilding.communicate(timeout=PATIENCE_S)
        assert matches(service) == ["grace"]
    rows = next(Path(service.data_dir / "index").rglob("rows"))
    inode = rows.stat().st_ino
    assert finished(manage(service, "rebuild_index", "--tenant", "demo")) == f"demo: {TEMPLATES + 1} templates\n"
    assert rows.stat().st_ino != inode
    assert matches(service) == ["grace"]
    assert mapped_bytes(worker.pid) < FILE_BYTES / 2, "checked and searched, the file is mapped without the remainders"
    assert worker.is_running()
    assert "Traceback" not in service.log.read_text()
