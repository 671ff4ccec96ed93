"""Galleries that are moved between two embedders, which are told apart by the order of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.types import Embedding
from gallery import binding
from gallery.matching import Gallery
from gallery.people import Sample
from gallery.reembedding import move
from gallery.reembedding.switching import Moved
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, face
from tests.gallery.workers import gallery_of

FORMER, NEW = "model-a", "model-b"
_ORDER = np.random.default_rng(15).permutation(512)


def embedded(person: int, model_id: str) -> Embedding:
    return face(person) if model_id == FORMER else face(person)[_ORDER]


def embed_picture(picture: bytes, model_id: str = NEW) -> Embedding:
    """What the embedder makes of a kept picture, which is the person's number."""
    return embedded(int(picture), model_id)


class Service:
    """A service that has both embedders."""

    def __init__(self, data_dir: Path, store: str = "exact") -> None:
        self.former = gallery_of(data_dir, store, FORMER)
        self.new = gallery_of(data_dir, store, NEW)

    def gallery(self, tenant: Tenant, galleries: Sequence[Gallery] = ()) -> Gallery:
        galleries = galleries or [self.new, self.former]
        model = binding.chosen(tenant, [one.model for one in galleries])
        return next(one for one in galleries if one.model == model)

    def enrol(self, tenant: Tenant, person: int, picture: bytes | None = None) -> None:
        gallery = self.gallery(tenant)
        content = str(person).encode() if picture is None else picture
        sample = Sample(embedded(person, gallery.model_id), 0.5 + person / 100, content)
        enroll(tenant, f"p{person}", [sample], gallery, RULES)

    def finds(self, tenant: Tenant, person: int) -> bool:
        """Whether the person is found, and verified, by the embedder that serves the gallery."""
        gallery = self.gallery(tenant)
        probe = embedded(person, gallery.model_id)
        found = gallery.identify(tenant, probe, 1e-3).matches
        compared = gallery.verify(tenant, f"p{person}", probe, 1e-4)
        return [one.subject_id for one in found] == [f"p{person}"] and compared is not None and compared.matches

    def move(self, tenant: Tenant, *, erase_unmovable: bool = False) -> Moved:
        return move(tenant, self.new, embed_picture, lambda *_: None, erase_unmovable=erase_unmovable)
