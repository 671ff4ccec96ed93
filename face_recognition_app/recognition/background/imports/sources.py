"""Folders and lists of pictures, and which of them a name means."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gallery.names import display_name_of
from gallery.records.metadata import storable_metadata
from recognition.background.imports.archive import Archive
from recognition.background.imports.people import (
    File,
    Person,
    Pictures,
    SubjectFrom,
    Unreadable,
    in_order,
    is_picture,
    people_of,
)
from recognition.background.imports.places import BadSource, ImportFolder, check_relative
from vocabulary.errors import ErrorCode

MAX_LIST_BYTES = 128 * 2**20
COLUMNS = ("subject_id", "path", "display_name", "metadata")
REQUIRED = ("subject_id", "path")


def open_source(root: ImportFolder, source: PurePosixPath, rule: SubjectFrom) -> Pictures:
    """What is to be imported. Raises BadSource."""
    place = root.place(source)
    if place.is_dir():
        return Folder(root, place, rule)
    if place.suffix.lower() == ".zip":
        return Archive(root, place, rule)
    if place.suffix.lower() == ".csv":
        return List(root, place)
    raise BadSource(f"{source} is neither a folder nor a .zip nor a .csv")


class _Files:
    """Pictures that are files below a folder."""

    def __init__(self, root: ImportFolder, folder: Path) -> None:
        self._root = root
        self._folder = folder

    def read(self, name: str, most: int) -> bytes:
        return self._root.read(self._folder / name, most)

    def close(self) -> None:
        pass


class Folder(_Files):
    def __init__(self, root: ImportFolder, folder: Path, rule: SubjectFrom) -> None:
        super().__init__(root, folder)
        names = (path.relative_to(folder).as_posix() for path in root.files(folder))
        self.people: Sequence[Person] = people_of((name for name in names if is_picture(PurePosixPath(name))), rule)


class List(_Files):
    """A CSV file with a picture a line: `subject_id,path[,display_name][,metadata]`, paths from the file's folder.

    Separated by commas, semicolons or tabs, in UTF-8, as spreadsheets write it.
    """

    def __init__(self, root: ImportFolder, file: Path) -> None:
        super().__init__(root, file.parent)
        try:
            text = root.read(file, MAX_LIST_BYTES).decode("utf-8-sig")
        except Unreadable as error:
            raise BadSource(f"the list cannot be read, or is larger than {MAX_LIST_BYTES} bytes") from error
        except UnicodeDecodeError as error:
            raise BadSource("the list is not in UTF-8") from error
        self.people: Sequence[Person] = in_order(_people_in(text).values())


def _people_in(text: str) -> dict[str, Person]:
    head = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        columns = [name.strip() for name in rows.fieldnames or ()]
        _check(columns)
        rows.fieldnames = columns
        people: dict[str, Person] = {}
        for row in rows:
            subject_id = (row["subject_id"] or "").strip()
            _add(people.setdefault(subject_id, Person(subject_id)), row, rows.line_num)
    except csv.Error as error:
        raise BadSource(f"line {rows.line_num + 1} of the list: {error}") from error
    return people


def _check(columns: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise BadSource(f"the list's first line must name {' and '.join(REQUIRED)}; {', '.join(missing)} is missing")
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown or len(set(columns)) < len(columns):
        raise BadSource(f"the list's columns are {', '.join(COLUMNS)}, each once; not {', '.join(columns)}")


def _add(person: Person, row: Mapping[str | None, Any], line: int) -> None:
    """Add a picture to a person. What is wrong with its line is its refusal."""
    name = (row["path"] or "").strip().replace("\\", "/")
    try:
        path = check_relative(name)
    except ValueError as error:
        person.files.append(File(name, Unreadable(ErrorCode.FORBIDDEN, f"line {line}: {error}")))
        return
    try:
        if None in row:
            raise ValueError("it has more fields than the first line")
        person.display_name = display_name_of(row.get("display_name") or "") or person.display_name
        if row.get("metadata"):
            person.metadata = _metadata(row["metadata"])
    except ValueError as error:
        refused = Unreadable(ErrorCode.VALIDATION_ERROR, f"line {line}: {error}")
        person.files.append(File(path.as_posix(), refused))
    else:
        person.files.append(File(path.as_posix()))


def _metadata(text: str) -> dict[str, Any]:
    """Raises ValueError."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("metadata is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("metadata is no JSON object")
    return storable_metadata(found)
