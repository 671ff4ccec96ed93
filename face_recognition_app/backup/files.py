"""Files of the data directory beside the database: which are in a backup, and how they are put back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from backup.archive import Member
from backup.errors import UnreadableFile

PREFIX = "files/"
KEPT = ("keys", "reports", "demo-api-key")
"""Folders and files that cannot be made anew."""
MADE_ANEW = ("index",)
"""Made from the database: what is there belongs to the one before."""


def members(data_dir: Path) -> Iterator[Member]:
    """Files that vanish meanwhile are left out: their rows are gone, or go on to be. To be taken after the database,
    so that every key that something there was signed with is among them."""
    for path in _found(data_dir):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        yield Member.of(f"{PREFIX}{path.relative_to(data_dir).as_posix()}", content)


def _found(data_dir: Path) -> Iterator[Path]:
    for name in KEPT:
        place = data_dir / name
        yield from sorted(path for path in (place, *place.rglob("*")) if path.is_file())


def stage(member: Member, folder: Path) -> None:
    """Write one of the files below `folder`. Raises UnreadableFile."""
    relative = PurePosixPath(member.name.removeprefix(PREFIX))
    if relative.is_absolute() or ".." in relative.parts or relative.parts[0] not in KEPT:
        raise UnreadableFile(f"the backup has a file for which there is no place: {member.name}")
    path = folder / relative
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(member.content.read())


def put_in_place(folder: Path, data_dir: Path) -> None:
    """Replace the files of the data directory by those below `folder`, which has the same file system."""
    for name in (*KEPT, *MADE_ANEW):
        _remove(data_dir / name)
        if (folder / name).exists():
            (folder / name).rename(data_dir / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
