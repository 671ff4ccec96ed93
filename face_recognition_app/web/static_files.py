"""Static files with a digest in their names, compressed once: browsers keep them for ever, and see every change."""

from __future__ import annotations

import logging
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from servestatic.storage import CompressedManifestStaticFilesStorage

from config.processes.locks import exclusive
from config.service import service_settings

logger = logging.getLogger(__name__)

UNUSED = ["redoc*"]
"""Patterns of packages' files that no page refers to."""
KEPT_SETS = 2
"""Sets of files that stay: the newest, and the one before it for workers that are being replaced."""


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the package is not typed
    """The files of all apps in a directory named by their digest, so that a changed file makes a new directory.

    URLs are relative to the service's root, for the page must work under a prefix that only a proxy knows. Where no
    set of files could be made, a URL names the file as it is, which ServeStatic finds in its app.
    """

    support_js_module_import_aggregation = True

    def __init__(self) -> None:
        super().__init__(location=sets_directory() / _digest(), base_url="static/")

    def load_manifest(self) -> tuple[dict[str, str], str]:
        try:
            found: tuple[dict[str, str], str] = super().load_manifest()
        except (OSError, ValueError):  # No directory that can be read, or a file that a power failure cut off.
            return {}, ""
        return found

    def stored_name(self, name: str) -> str:
        found: str = self.hashed_files.get(self.hash_key(name), name)
        return found

    def make(self) -> None:
        """Write the files. Raises OSError; then there are none, and no room is taken."""
        location = Path(self.location)
        shutil.rmtree(location, ignore_errors=True)  # What an interrupted call left may be incomplete.
        try:
            call_command("collectstatic", verbosity=0, interactive=False, ignore_patterns=UNUSED)
        except OSError:
            shutil.rmtree(location, ignore_errors=True)
            raise
        self.hashed_files, self.manifest_hash = self.load_manifest()
        _remove_old_sets(location.parent)


def sets_directory() -> Path:
    return service_settings().run_dir / "static"


def make_static_files() -> None:
    """Make the files unless they are there; a second without them. Where they cannot be written only log it."""
    directory = sets_directory()
    try:
        with exclusive(directory.with_suffix(".lock")):
            # The storage reads its manifest when it is first used: here, since another process may write it now.
            if not _files().hashed_files:
                _files().make()
    except OSError as error:
        if not _files().hashed_files:
            logger.warning("static files are sent uncompressed, and browsers ask for them again: %s", error)


def _files() -> HashedFiles:
    return cast(HashedFiles, staticfiles_storage)


def _digest() -> str:
    """Digest of the paths and contents of every file that an app has."""
    content = sha256()
    for finder in get_finders():
        for path, storage in sorted(finder.list(UNUSED), key=lambda found: found[0]):
            content.update(path.encode() + b"\0" + sha256(Path(cast(Any, storage).path(path)).read_bytes()).digest())
    return content.hexdigest()[:16]


def _remove_old_sets(directory: Path) -> None:
    sets = sorted((path for path in directory.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in sets[:-KEPT_SETS]:
        shutil.rmtree(old, ignore_errors=True)
