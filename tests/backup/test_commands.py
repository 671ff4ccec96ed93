"""manage.py backup and restore: what they keep, and what they refuse without a change."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup.archive import ArchiveWriter, Manifest, Member
from backup.taking import secret_key_id
from config.given_keys import decoded
from tests.backup.support import KEY, Installation


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Path]:
    """An installation with two tenants, and a backup of it."""
    directory = tmp_path_factory.mktemp("taken")
    one = Installation(directory / "var")
    one.manage("prepare")
    one.manage("create_tenant", "acme")
    report = one.data_dir / "reports" / "1" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_bytes(b"sealed")
    index = one.data_dir / "index" / "1"
    index.parent.mkdir()
    index.write_bytes(b"made anew")
    one.manage("backup", directory / "file")
    return one, directory / "file"


@pytest.fixture
def backup(taken: tuple[Installation, Path]) -> Path:
    return taken[1]


@pytest.fixture
def empty(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "var")


def tenants(installation: Installation) -> list[str]:
    with closing(sqlite3.connect(installation.data_dir / "face.sqlite3")) as database:
        return [name for (name,) in database.execute("SELECT name FROM tenants_tenant ORDER BY name")]


def test_everything_that_cannot_be_made_anew_comes_back(
    taken: tuple[Installation, Path], backup: Path, empty: Installation
) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    told = empty.manage("restore", backup)
    assert "erase again whom you have erased since" in told
    there = taken[0].files()
    restored = empty.files()
    del there["index/1"]
    assert restored.keys() == there.keys()
    changed = {name for name in there if there[name] != restored[name]}
    assert changed == {"face.sqlite3"}, "the restore is recorded"
    assert tenants(empty) == ["acme", "demo"]
    assert empty.manage("verify_audit").count("are whole") == 2
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (empty.data_dir / "keys").iterdir()}
    assert modes == {0o600}
    assert not [path for path in empty.data_dir.iterdir() if path.name.startswith(".")]


def test_a_backup_and_its_restore_are_in_every_tenants_trail(backup: Path, empty: Installation) -> None:
    empty.manage("restore", backup)
    with closing(sqlite3.connect(empty.data_dir / "face.sqlite3")) as database:
        query = "SELECT tenant_id, kind, actor_name FROM audit_auditentry WHERE kind IN ('backed_up', 'restored')"
        found = database.execute(query).fetchall()
    assert sorted((tenant, kind) for tenant, kind, _ in found) == [
        (1, "backed_up"),
        (1, "restored"),
        (2, "backed_up"),
        (2, "restored"),
    ]
    assert all(name for *_, name in found)


def test_a_directory_gets_a_new_file_each_time(taken: tuple[Installation, Path], tmp_path: Path) -> None:
    told = taken[0].manage("backup", tmp_path)
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("face-")
    assert str(made) in told
    assert "whole and readable" in taken[0].manage("backup", made, "--verify")


def test_an_installation_with_tenants_is_replaced_by_force_alone(backup: Path, empty: Installation) -> None:
    empty.manage("prepare")
    empty.manage("create_tenant", "other")
    (empty.data_dir / "index").mkdir()
    (empty.data_dir / "index" / "2").write_bytes(b"of the one before")
    before = empty.files()
    assert "has tenants already" in empty.refused("restore", backup)
    assert empty.files() == before
    empty.manage("restore", backup, "--force")
    assert tenants(empty) == ["acme", "demo"]
    assert not (empty.data_dir / "index").exists()


def test_a_prepared_installation_without_tenants_counts_as_empty(backup: Path, empty: Installation) -> None:
    empty.manage("prepare", APP_ENV="staging", FACE_SECRET_KEY="".join(map(str, range(40))))
    empty.manage("restore", backup)
    assert tenants(empty) == ["acme", "demo"]


def test_a_running_process_is_not_robbed_of_its_database(backup: Path, empty: Installation) -> None:
    empty.manage("prepare")
    with closing(sqlite3.connect(empty.data_dir / "face.sqlite3")) as other:
        other.execute("SELECT * FROM tenants_tenant").fetchall()
        assert "other processes are connected" in empty.refused("restore", backup, "--force")
    empty.manage("restore", backup, "--force")


def changed_in_the_middle(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (changed_in_the_middle, "was changed"),
        (lambda content: content[:-1], "cut off"),
        (lambda content: content[:30], "cut off"),
        (lambda content: content + b"x", "was changed"),
        (lambda content: b"x" + content, "no backup"),
        (lambda content: b"", "no backup"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_changed(
    backup: Path, empty: Installation, tmp_path: Path, damage: object, told: str
) -> None:
    assert callable(damage)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(damage(backup.read_bytes()))
    assert told in empty.refused("restore", damaged)
    assert empty.files().keys() <= {"keys/secret-key"}


def test_the_key_is_asked_for_and_must_be_the_same(
    backup: Path, empty: Installation, taken: tuple[Installation, Path], tmp_path: Path
) -> None:
    other = "A" + KEY[1:]
    assert "set FACE_BACKUP_KEY" in empty.refused("restore", backup, FACE_BACKUP_KEY="")
    assert "key is another one" in empty.refused("restore", backup, FACE_BACKUP_KEY=other)
    assert "not base64" in empty.refused("restore", backup, FACE_BACKUP_KEY="secret!")
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    by_file = {"FACE_BACKUP_KEY": "", "FACE_BACKUP_KEY_FILE": str(file)}
    assert "may be used by others" in empty.refused("restore", backup, **by_file)
    file.chmod(0o600)
    empty.manage("backup", backup, "--verify", **by_file)
    assert "key is another one" in empty.refused("backup", backup, "--verify", FACE_BACKUP_KEY=other)


def test_a_passphrase_does_as_well(taken: tuple[Installation, Path], empty: Installation, tmp_path: Path) -> None:
    one, file = taken[0], tmp_path / "file"
    words = "correct horse battery staple\n"
    assert "16 characters" in one.refused("backup", file, "--passphrase", typed="short\n")
    assert one.run("backup", file, "--passphrase", typed=words).returncode == 0
    assert "key is another one" in empty.refused("restore", file, "--passphrase", typed="correct horse\n")
    done = empty.run("restore", file, "--passphrase", typed=words)
    assert done.returncode == 0, done.stderr
    assert tenants(empty) == ["acme", "demo"]


def test_a_file_that_is_there_stays(taken: tuple[Installation, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a letter")
    assert "is there already" in taken[0].refused("backup", tmp_path / "file")
    assert "No such file" in taken[0].refused("backup", tmp_path / "missing" / "file")
    assert "No such file" in taken[0].refused("restore", tmp_path / "missing", "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "a letter"


def test_another_secret_key_is_refused(backup: Path, empty: Installation) -> None:
    other = {"FACE_SECRET_KEY": "".join(map(str, range(40)))}
    assert "FACE_SECRET_KEY is not the one" in empty.refused("restore", backup, **other)
    assert empty.files() == {}
    empty.manage("restore", backup, "--force", **other)


def foreign(path: Path, secret: str, **changed: object) -> Path:
    """A backup of a release that does not exist."""
    manifest = Manifest(
        release="9.9.9",
        made_at=datetime(2030, 1, 1, tzinfo=UTC),
        database="sqlite",
        migrations=(("tenants", "0001_initial"),),
        secret_key_id=secret_key_id(secret),
    ).model_copy(update=changed)
    with path.open("wb") as file:
        archive = ArchiveWriter(file, decoded([KEY], "KEY")[0])
        archive.begin(manifest)
        archive.add(Member.of("files/../../escaped", b"x"))
        archive.finish()
    return path


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"migrations": (("tenants", "0001_initial"), ("tenants", "9999_future"))}, "newer release (9.9.9)"),
        ({"database": "postgresql"}, "restore into the same kind"),
        ({}, "no place: files/../../escaped"),
    ],
)
def test_what_does_not_fit_is_refused(
    empty: Installation, tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    secret = "".join(map(str, range(40)))
    file = foreign(tmp_path / "file", secret, **changed)
    assert told in empty.refused("restore", file, FACE_SECRET_KEY=secret)
    assert empty.files() == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "var"]
