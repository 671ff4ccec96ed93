"""A service that is started on the database of the release before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.face_recognition_engine import FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from testkit import loopback
from testkit.clips import astronaut, encode_jpeg, grace_hopper
from testkit.patience import PATIENCE_S
from testkit.recognised import recognised
from testkit.servers import database_server
from testkit.service import REPOSITORY, running_service
from tests.backup.support import Installation

SESSION = "0d0a2b1c-5a52-4c1e-9a6e-0c6b2f1d3e4f"
KEY = "fk_of-the-release-before-0123456789012345"


def make_old_database(one: Installation, embedding: bytes) -> None:
    environment = {
        **os.environ,
        "FACE_DATA_DIR": str(one.data_dir),
        "DJANGO_SETTINGS_MODULE": "face_app.settings",
        "PYTHONPATH": str(REPOSITORY / "face_recognition_app"),
        **one.variables,
    }
    command = [sys.executable, str(Path(__file__).with_name("database_of_0_2.py")), KEY, SESSION]
    subprocess.run(command, env=environment, input=embedding, check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_the_release_before_has_left_is_served(
    database: str, tmp_path: Path, engine: FaceRecognitionEngine, limits: ImageLimits
) -> None:
    alice, bob = encode_jpeg(astronaut()), encode_jpeg(grace_hopper())
    vector = recognised(engine.embed(engine.analyse(alice, limits))).astype("<f4").tobytes()
    with database_server(database) as url:
        one = Installation(tmp_path / "var", {"DATABASE_URL": url})
        make_old_database(one, vector)
        with running_service(tmp_path, workers=1, pool_size=1, environment=one.variables) as service:
            headers = {"authorization": f"Bearer {KEY}"}
            with loopback.blocking_client(base_url=service.base_url, headers=headers, timeout=PATIENCE_S) as http:

                def found(picture: bytes) -> list[str]:
                    answer = http.post("/api/v1/faces/search/", files={"image": ("face.jpg", picture, "image/jpeg")})
                    assert answer.status_code == 200, answer.text
                    return [match["subject_id"] for match in answer.json()["matches"]]

                assert found(alice) == ["alice"]
                assert found(bob) == []
                person = http.get("/api/v1/subjects/alice/").json()
                assert (person["metadata"], person["display_name"]) == ({"since": "0.2.0"}, "")
                session = http.get(f"/api/v1/sessions/{SESSION}/").json()
                assert (session["status"], session["decision"]["subject_id"]) == ("succeeded", "alice")
                files = {"images": ("face.jpg", bob, "image/jpeg")}
                assert http.post("/api/v1/subjects/bob/templates/", files=files).status_code == 201
                one.manage("rotate_keys")
                assert [found(alice), found(bob)] == [["alice"], ["bob"]]
                assert http.delete("/api/v1/subjects/alice/").status_code == 204
                assert found(alice) == []
            assert "are whole" in one.manage("verify_audit", "--tenant", "acme")
