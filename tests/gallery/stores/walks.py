"""Random changes of a gallery."""

from __future__ import annotations

import random

from core.types import Embedding
from gallery.matching import Gallery
from gallery.models import Subject
from gallery.people import delete_subject
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture

PEOPLE = 12


class Walk:
    """Random changes of a dozen people, each made through one of the workers."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self._tenant = tenant
        self._choose = random.Random(seed)
        self._step = 1_000 * seed

    def change(self, workers: list[Gallery]) -> Embedding:
        """Change something; returns a probe of somebody whom it may have been."""
        self._step += 1
        number = self._choose.randrange(PEOPLE)
        name = f"p{number}"
        exists = Subject.across_tenants.filter(tenant=self._tenant, subject_id=name).exists()
        if exists and self._choose.random() < 0.45:
            delete_subject(self._tenant, name)
        else:
            enrol(self._tenant, name, picture(face(number), 0.8, self._step), gallery=self._choose.choice(workers))
        return picture(face(number), 0.6, self._step)
