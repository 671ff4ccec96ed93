from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.secret import read_or_make, secret_key
from config.settings import load
from tests.processes import run

RACERS = 16

RACE = """
import json, multiprocessing, sys
from pathlib import Path
from config.secret import read_or_make

context = multiprocessing.get_context("fork")
together = context.Barrier(int(sys.argv[2]))

def racer(number):
    together.wait(10)
    return read_or_make(Path(sys.argv[1]), f"made by {number}".encode).decode()

with context.Pool(int(sys.argv[2])) as pool:
    print(json.dumps(pool.map(racer, range(int(sys.argv[2])), chunksize=1)))
"""


def test_many_processes_make_one_secret(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"keys-{attempt}" / "secret"
        done = run("-c", RACE, str(path), str(RACERS))
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert len(found) == RACERS
        assert set(found) == {path.read_text()}
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(path.parent.iterdir()) == [path]


def test_an_existing_secret_stays(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert read_or_make(path, lambda: b"first") == b"first"
    assert read_or_make(path, lambda: b"second") == b"first"


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise OSError("no entropy")

    with pytest.raises(OSError, match="no entropy"):
        read_or_make(tmp_path / "keys" / "secret", fail)
    assert list((tmp_path / "keys").iterdir()) == []


def test_development_keeps_a_secret_of_its_own(tmp_path: Path) -> None:
    settings = load({"FACE_DATA_DIR": str(tmp_path)})
    made = secret_key(settings)
    assert load({"APP_ENV": "production", "FACE_SECRET_KEY": made})
    assert secret_key(settings) == made
    assert (tmp_path / "keys" / "secret-key").stat().st_mode & 0o777 == 0o600


def test_a_configured_secret_is_not_written_to_disk(tmp_path: Path) -> None:
    given = "Zk3-unguessable-and-long-enough-9Qx7"
    assert secret_key(load({"FACE_DATA_DIR": str(tmp_path), "FACE_SECRET_KEY": given})) == given
    assert list(tmp_path.iterdir()) == []
