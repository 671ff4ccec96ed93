"""The people of an import, and how their ids follow from the names of files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Protocol

from vocabulary.errors import ErrorCode

SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"})
"""Of pictures, also of those that are refused: others are no part of an import."""
_NUMBER = re.compile(r"[_-]\d{1,4}$")


class SubjectFrom(StrEnum):
    """Where a person's id comes from.

    AUTO      the folder of the picture, or the name of the file where it lies in none
    FOLDER    the folder of the picture
    FILENAME  the name of the file, without its number: `ann.jpg`, `ann_1.jpg` and `ann_2.jpg` are ann's
    STEM      the name of the file, with its number
    """

    AUTO = "auto"
    FOLDER = "folder"
    FILENAME = "filename"
    STEM = "stem"


class Unreadable(Exception):
    """A file that is not read, with a code of errors and words."""

    def __init__(self, code: ErrorCode, words: str) -> None:
        super().__init__(code, words)
        self.code, self.words = code, words


@dataclass(frozen=True, slots=True)
class File:
    """`name`: as the report calls it. `refused`: why it is not even opened."""

    name: str
    refused: Unreadable | None = None


@dataclass(slots=True)
class Person:
    subject_id: str
    files: list[File] = field(default_factory=list)
    display_name: str = ""
    metadata: Mapping[str, Any] | None = None


class Pictures(Protocol):
    """What is imported."""

    @property
    def people(self) -> Sequence[Person]:
        """In the order of their ids, which is that of the import."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """The content of a picture, of at most so many bytes. Raises Unreadable."""
        ...

    def close(self) -> None: ...


def is_picture(path: PurePosixPath) -> bool:
    """Whether a file may be meant: none that an operating system has left behind."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def subject_of(path: PurePosixPath, rule: SubjectFrom) -> str:
    """The id of the person in a picture; empty when the rule gives none. `path`: below what is imported."""
    folder = path.parent.name
    if rule is SubjectFrom.FOLDER or (rule is SubjectFrom.AUTO and folder):
        return folder
    return path.stem if rule is SubjectFrom.STEM else _NUMBER.sub("", path.stem)


def people_of(names: Iterable[str], rule: SubjectFrom) -> list[Person]:
    """The people whose pictures have these names, in order."""
    people: dict[str, Person] = {}
    for name in sorted(names):
        subject_id = subject_of(PurePosixPath(name), rule)
        people.setdefault(subject_id, Person(subject_id)).files.append(File(name))
    return in_order(people.values())


def in_order(people: Collection[Person]) -> list[Person]:
    """The people by their ids; a file that is named twice for one person counts once."""
    for person in people:
        person.files = list({file.name: file for file in person.files}.values())
    return sorted(people, key=lambda person: person.subject_id)


def after(people: Sequence[Person], subject_id: str | None) -> Iterator[Person]:
    """Those who come after a person; all for None."""
    return (person for person in people if subject_id is None or person.subject_id > subject_id)
