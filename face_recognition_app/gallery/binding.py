"""Binding of a tenant's gallery to the embedder that made its templates: those of two embedders cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import connection
from django.db.models import Q
from pydantic import TypeAdapter

from core.features.embedder.profile import EmbedderProfile
from core.types import EMBEDDING_LENGTH
from database.outages import RETRY_AFTER_MS
from gallery.models import Template
from tenants.models import Tenant
from wire.errors import Unavailable

MOVED_RETRY_AFTER_MS = 100


@dataclass(frozen=True, slots=True)
class GalleryModel:
    """`digest`: SHA-256 of the model's file; of galleries of older versions its beginning."""

    model_id: str
    digest: str
    dimension: int

    @classmethod
    def of(cls, model_id: str, profile: EmbedderProfile) -> GalleryModel:
        return cls(model_id, profile.sha256, EMBEDDING_LENGTH)

    def __str__(self) -> str:
        return f"{self.model_id} ({self.dimension} numbers, SHA-256 {self.digest})"


class OtherModel(Unavailable):
    """A gallery was made with another embedder than the service's."""

    passes = False

    def __init__(self, message: str, retry_after_ms: int = RETRY_AFTER_MS) -> None:
        super().__init__(message, retry_after_ms)


class GalleryMoved(OtherModel):
    """The gallery was moved to another embedder since the tenant's row was read: what was compared may have been a part
    of it. Who tries again is compared by the new one."""

    def __init__(self) -> None:
        super().__init__("the gallery is of another embedder now: try again", MOVED_RETRY_AFTER_MS)


class NoGalleryFits(Exception):
    """At start: there are galleries, and all of them were made with other embedders than the service's."""


_ADAPTER: TypeAdapter[GalleryModel] = TypeAdapter(GalleryModel)
_MODEL_OF_TENANT = f"SELECT gallery_model FROM {Tenant._meta.db_table} WHERE id = %s"  # noqa: S608  the model's own name
"""Every comparison makes this query, so Django does not write it anew."""


def check(tenant: Tenant, model: GalleryModel) -> None:
    """Raises OtherModel. Makes no query when the tenant's row, as it was read, names this model or none."""
    bound = _bound(tenant.gallery_model)
    if bound is not None and bound.model_id != model.model_id and _has_templates(tenant, bound):
        raise OtherModel(_fault(tenant.name, bound, model))


def check_again(tenant: Tenant, model: GalleryModel) -> None:
    """Raises GalleryMoved unless the gallery is still of this model. Makes one query.

    Called after a comparison: the tenant's row may have been read minutes before, as that of a session is.
    """
    bound = model_of(tenant)
    if bound is not None and bound.model_id != model.model_id and _has_templates(tenant, bound):
        raise GalleryMoved


def model_of(tenant: Tenant) -> GalleryModel | None:
    """The model that the gallery is bound to now; None for a tenant that never had a template, or is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_MODEL_OF_TENANT, (tenant.pk,))
        found = cursor.fetchone()
    return None if found is None or found[0] is None else _ADAPTER.validate_json(found[0])


def chosen(tenant: Tenant, models: Sequence[GalleryModel]) -> GalleryModel:
    """The one of a service's models that the gallery is served with: its own, or the first if it is of none of them or
    has no templates. Leaves the model that was read in the tenant."""
    bound = model_of(tenant)
    tenant.gallery_model = None if bound is None else asdict(bound)
    own = [model for model in models if bound is not None and model.model_id == bound.model_id]
    return own[0] if own and bound is not None and _has_templates(tenant, bound) else models[0]


def bind(tenant: Tenant, model: GalleryModel) -> None:
    """Bind a gallery without templates to the model, in the transaction of an enrolment, which has locked the tenant.

    Raises OtherModel.
    """
    check(tenant, model)
    if tenant.gallery_model != asdict(model):
        tenant.gallery_model = asdict(model)
        tenant.save(update_fields=["gallery_model"])


def check_all(models: Sequence[GalleryModel]) -> list[str]:
    """Return a sentence for each gallery of none of the service's models, of which the first is the one in use. Raises
    NoGalleryFits when there are some, and none is of these models: then it is the service's embedder that is wrong."""
    bound = Tenant.objects.filter(gallery_model__isnull=False)
    ours = Q(gallery_model__model_id__in=[model.model_id for model in models])
    others = [(tenant, _bound(tenant.gallery_model)) for tenant in bound.exclude(ours)]
    faults = [
        _fault(one.name, found, models[0]) for one, found in others if found is not None and _has_templates(one, found)
    ]
    if faults and not bound.filter(ours).exists():
        raise NoGalleryFits(faults[0])
    return faults


def _bound(kept: object) -> GalleryModel | None:
    return None if kept is None else _ADAPTER.validate_python(kept)


def _has_templates(tenant: Tenant, model: GalleryModel) -> bool:
    return Template.objects.filter(tenant=tenant, model_id=model.model_id).exists()


def _fault(tenant: str, bound: GalleryModel, model: GalleryModel) -> str:
    return (
        f"the gallery of {tenant} was made with the embedder {bound}, and the service has {model}: "
        "run the service with the former (FACE_EMBEDDER), move the gallery to the new one (FACE_FORMER_EMBEDDER and "
        "manage.py reembed), or erase its people and enrol them anew"
    )
