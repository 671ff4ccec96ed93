"""The stores by the names that FACE_GALLERY_STORE has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gallery.protection import TemplateProtection
from gallery.stores.base import TemplateStore
from gallery.stores.exact import ExactStore
from gallery.stores.pgvector.store import PgvectorStore
from gallery.stores.usearch import UsearchStore

Maker = Callable[[str, TemplateProtection, Path], TemplateStore]
"""Makes a store of a model's templates; the directory is for the files of its indexes."""


def _pgvector(model_id: str, protection: TemplateProtection, directory: Path) -> TemplateStore:
    return PgvectorStore(model_id, protection)


MAKERS: Mapping[str, Maker] = {"exact": ExactStore, "usearch": UsearchStore, "pgvector": _pgvector}
