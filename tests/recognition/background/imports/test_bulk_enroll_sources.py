"""Folders, zip files and lists: which pictures are whose, and what is not opened."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path, PurePosixPath

import pytest

from config.service import service_settings
from gallery.models import Subject
from jobs.problems import InvalidJob
from recognition.background.imports import archive, places
from recognition.background.imports.people import SubjectFrom, people_of, subject_of
from tenants.models import Tenant
from tests.recognition.background.imports.support import asked, counts, done, imported, lay, report, templates
from tests.recognition.support import Faces


def zipped(file: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return file


def refused(tenant: Tenant, source: str) -> str:
    job = done(asked(tenant, source))
    assert (job.status, job.failures) == ("failed", 0)
    assert templates(tenant) == {}
    return job.error


@pytest.mark.parametrize(
    ("path", "rule", "subject"),
    [
        ("ann/1.jpg", SubjectFrom.AUTO, "ann"),
        ("2024/ann/1.jpg", SubjectFrom.AUTO, "ann"),
        ("ann.jpg", SubjectFrom.AUTO, "ann"),
        ("ann_1.jpg", SubjectFrom.AUTO, "ann"),
        ("ann_b_12.jpg", SubjectFrom.AUTO, "ann_b"),
        ("ann.jpg", SubjectFrom.FOLDER, ""),
        ("all/ann_2.jpg", SubjectFrom.FILENAME, "ann"),
        ("all/emp_0042.jpg", SubjectFrom.STEM, "emp_0042"),
        ("all/20240131.jpg", SubjectFrom.FILENAME, "20240131"),
    ],
)
def test_ids_follow_from_names(path: str, rule: SubjectFrom, subject: str) -> None:
    assert subject_of(PurePosixPath(path), rule) == subject


def test_people_and_their_pictures_are_in_order() -> None:
    found = people_of(["b/2.jpg", "a_2.jpg", "b/1.jpg", "a_1.jpg"], SubjectFrom.AUTO)
    assert [(one.subject_id, [file.name for file in one.files]) for one in found] == [
        ("a", ["a_1.jpg", "a_2.jpg"]),
        ("b", ["b/1.jpg", "b/2.jpg"]),
    ]


def test_a_zip_file_is_a_folder(tenant: Tenant, imports: Path, faces: Faces) -> None:
    pictures = {"people/alice/1.jpg": faces.astronaut, "people/bob/1.jpg": faces.hopper, "__MACOSX/x.jpg": b"junk"}
    zipped(imports / "people.zip", pictures)
    job = imported(tenant, "people.zip")
    assert report(imports, job) == {
        "people/alice/1.jpg": ("alice", "enrolled", ""),
        "people/bob/1.jpg": ("bob", "enrolled", ""),
    }
    assert counts(imported(tenant, "people.zip")) == (0, 0, 0, 2)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_names_people_and_what_is_known_of_them(
    tenant: Tenant, imports: Path, faces: Faces, separator: str
) -> None:
    lay(imports / "staff", pictures__a=faces.astronaut, pictures__b=faces.hopper)
    rows = [
        ("path", "subject_id", "display_name", "metadata"),
        ("pictures/a.jpg", "alice", "Alice Ä", json.dumps({"door": 3}).replace('"', '""')),
        ("pictures\\b.jpg", "bob", "", ""),
        ("pictures/b.jpg", "bob", "", ""),
        ("pictures/none.jpg", "bob", "", ""),
        ("../staff/pictures/a.jpg", "carol", "", ""),
        ("/etc/passwd", "carol", "", ""),
        ("pictures/c.jpg", "dora", "", "{"),
        ("pictures/d.jpg", "dora", "x\u202ey", ""),
    ]
    text = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    (imports / "staff" / "list.csv").write_bytes(text.encode("utf-8-sig"))
    job = imported(tenant, "staff/list.csv")
    assert report(imports, job) == {
        "pictures/a.jpg": ("alice", "enrolled", ""),
        "pictures/b.jpg": ("bob", "enrolled", ""),
        "pictures/none.jpg": ("bob", "rejected", "not_found"),
        "../staff/pictures/a.jpg": ("carol", "rejected", "forbidden"),
        "/etc/passwd": ("carol", "rejected", "forbidden"),
        "pictures/c.jpg": ("dora", "rejected", "validation_error"),
        "pictures/d.jpg": ("dora", "rejected", "validation_error"),
    }
    rows_kept = Subject.objects.filter(tenant=tenant).values_list("subject_id", "display_name", "metadata")
    assert sorted(rows_kept) == [("alice", "Alice Ä", {"door": 3}), ("bob", "", {})]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,file\nalice,a.jpg\n", "subject_id, path is missing"),
        (b"subject_id,path,age\nalice,a.jpg,3\n", "the list's columns are"),
        (b"subject_id,path\nalice,\xff.jpg\n", "not in UTF-8"),
        (b'subject_id,path\nalice,"a.jpg\n', "line 2 of the list"),
        (b"", "is missing"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(tenant: Tenant, imports: Path, content: bytes, words: str) -> None:
    (imports / "list.csv").write_bytes(content)
    assert words in refused(tenant, "list.csv")


@pytest.mark.parametrize("source", ["..", "../other", "/etc", "a/../../other", "", ".", "x\0y"])
def test_a_path_out_of_the_folder_is_no_job(tenant: Tenant, imports: Path, source: str) -> None:
    with pytest.raises(InvalidJob, match=r"payload\.source"):
        asked(tenant, source)


def test_links_lead_nowhere(tenant: Tenant, imports: Path, faces: Faces) -> None:
    """Neither to another tenant's folder, nor to anything else outside."""
    other = imports.parent / "globex"
    lay(other, bob=faces.hopper)
    (imports / "folder").symlink_to(other)
    (imports / "list.csv").symlink_to("/etc/passwd")
    assert "leads out of" in refused(tenant, "folder")
    assert "leads out of" in refused(tenant, "list.csv")
    lay(imports / "people", alice=faces.astronaut)
    (imports / "people" / "bob.jpg").symlink_to(other / "bob.jpg")
    (imports / "people" / "carol").symlink_to(other)
    (imports / "people" / "inside.jpg").symlink_to(imports / "people" / "alice.jpg")
    os.mkfifo(imports / "people" / "pipe.jpg")
    assert report(imports, imported(tenant, "people")) == {
        "alice.jpg": ("alice", "enrolled", ""),
        "bob.jpg": ("bob", "rejected", "forbidden"),
        "inside.jpg": ("inside", "rejected", "duplicate_face"),
        "pipe.jpg": ("pipe", "rejected", "forbidden"),
    }


def test_a_folder_that_is_a_link_itself_is_none(tenant: Tenant, imports: Path, faces: Faces) -> None:
    lay(imports.parent / "globex", bob=faces.hopper)
    imports.rmdir()
    imports.symlink_to(imports.parent / "globex")
    assert "no import folder" in refused(tenant, "bob.jpg")
    imports.unlink()
    assert "no import folder" in refused(tenant, "people")
    imports.mkdir()


def test_what_is_not_there_is_refused(tenant: Tenant, imports: Path, faces: Faces) -> None:
    lay(imports, alice=faces.astronaut)
    assert "is not in the tenant's import folder" in refused(tenant, "people")
    assert "neither a folder nor a .zip nor a .csv" in refused(tenant, "alice.jpg")


def test_a_folder_of_too_many_files_is_refused(
    tenant: Tenant, imports: Path, monkeypatch: pytest.MonkeyPatch, faces: Faces
) -> None:
    monkeypatch.setattr(places, "MAX_FILES", 1)
    lay(imports / "people", alice=faces.astronaut, bob=faces.hopper)
    assert "more than 1 files" in refused(tenant, "people")


def _overlapping(file: Path) -> None:
    """Two entries that are one and the same bytes, as in a bomb that unpacks to far more than a ratio tells."""
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a.jpg", bytes(5_000))
        twin = copy(target.filelist[0])
        twin.filename = "b.jpg"
        target.filelist.append(twin)


def _liar(file: Path) -> None:
    """A directory of more bytes than anybody needs."""
    zipped(file, {"a.jpg": b"x"})
    data = bytearray(file.read_bytes())
    end = data.rfind(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", 2**31)
    file.write_bytes(data)


def _twins(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a.jpg", b"x")
        with pytest.warns(UserWarning, match="Duplicate name"):
            target.writestr("a.jpg", b"y")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_overlapping, "share their bytes"),
        (_liar, "lists more than"),
        (_twins, "two entries of one name"),
        (lambda file: file.write_bytes(b"PK\3\4" + bytes(1_000)), "no zip file"),
        (lambda file: file.write_bytes(b"PK\5\6" + bytes(3)), "no zip file"),
        (lambda file: file.write_bytes(b""), "no zip file"),
        (lambda file: file.write_bytes(b"PK\5\6" + b"\xff" * 18), "lists more than"),
    ],
)
def test_a_zip_file_that_is_none_or_a_bomb_is_refused(
    tenant: Tenant, imports: Path, make: Callable[[Path], object], words: str
) -> None:
    make(imports / "people.zip")
    assert words in refused(tenant, "people.zip")


def test_a_zip_file_of_too_many_entries_is_refused(
    tenant: Tenant, imports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 1)
    zipped(imports / "people.zip", {"a.jpg": b"x", "b.jpg": b"y"})
    assert "more than 1 entries" in refused(tenant, "people.zip")


def test_entries_that_would_fill_the_memory_are_rejected_and_others_enrolled(
    tenant: Tenant, imports: Path, faces: Faces
) -> None:
    limit = service_settings().max_image_bytes
    pictures = {"alice.jpg": faces.astronaut, "large.jpg": os.urandom(limit + 1), "bomb.jpg": bytes(limit - 1)}
    file = zipped(imports / "people.zip", pictures)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_BZIP2) as target:
        target.writestr("other.jpg", bytes(1_000_000))
    with zipfile.ZipFile(file, "a") as target:
        target.writestr("secret.jpg", faces.hopper)
        target.writestr("torn.jpg", faces.hopper)
        torn = target.getinfo("torn.jpg").header_offset + 1_000
    data = bytearray(file.read_bytes())
    data[torn] ^= 255
    secret = data.rfind(b"PK\1\2", 0, data.rfind(b"secret.jpg"))
    data[secret + 8] |= 1
    file.write_bytes(data)
    assert report(imports, imported(tenant, "people.zip")) == {
        "alice.jpg": ("alice", "enrolled", ""),
        "bomb.jpg": ("bomb", "rejected", "image_too_complex"),
        "large.jpg": ("large", "rejected", "image_too_large"),
        "other.jpg": ("other", "rejected", "unsupported_format"),
        "secret.jpg": ("secret", "rejected", "invalid_image"),
        "torn.jpg": ("torn", "rejected", "invalid_image"),
    }


def test_a_picture_is_held_to_the_limits_of_uploads(tenant: Tenant, imports: Path, faces: Faces) -> None:
    lay(imports / "people", alice=faces.astronaut, large=faces.hopper + bytes(service_settings().max_image_bytes))
    assert report(imports, imported(tenant, "people"))["large.jpg"] == ("large", "rejected", "image_too_large")
