"""Binding of a tenant's gallery to the embedder that made its templates: those of two embedders cannot be compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from core.features.embedder.profile import EmbedderProfile
from core.types import EMBEDDING_LENGTH
from database.outages import RETRY_AFTER_MS
from gallery.models import Template
from tenants.models import Tenant
from wire.errors import Unavailable


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

    def __init__(self, message: str) -> None:
        super().__init__(message, RETRY_AFTER_MS)


class NoGalleryFits(Exception):
    """At start: there are galleries, and all of them were made with other embedders than the service's."""


_ADAPTER: TypeAdapter[GalleryModel] = TypeAdapter(GalleryModel)


def check(tenant: Tenant, model: GalleryModel) -> None:
    """Raises OtherModel. Makes no query when the tenant's row, as it was read, names this model or none."""
    bound = _bound(tenant.gallery_model)
    if bound is not None and bound.model_id != model.model_id and _has_templates(tenant, bound):
        raise OtherModel(_fault(tenant.name, bound, model))


def bind(tenant: Tenant, model: GalleryModel) -> None:
    """Bind a gallery without templates to the model, in the transaction of an enrolment, which holds the tenant's lock.

    Raises OtherModel.
    """
    tenant.gallery_model = Tenant.objects.values_list("gallery_model", flat=True).get(pk=tenant.pk)
    check(tenant, model)
    if tenant.gallery_model != asdict(model):
        tenant.gallery_model = asdict(model)
        tenant.save(update_fields=["gallery_model"])


def check_all(model: GalleryModel) -> list[str]:
    """Return a sentence for each gallery of another model. Raises NoGalleryFits when there are some, and none is of
    this model: then it is the service's embedder that is wrong."""
    bound = Tenant.objects.filter(gallery_model__isnull=False)
    others = [
        (tenant, _bound(tenant.gallery_model)) for tenant in bound.exclude(gallery_model__model_id=model.model_id)
    ]
    faults = [
        _fault(one.name, found, model) for one, found in others if found is not None and _has_templates(one, found)
    ]
    if faults and not bound.filter(gallery_model__model_id=model.model_id).exists():
        raise NoGalleryFits(faults[0])
    return faults


def _bound(kept: object) -> GalleryModel | None:
    return None if kept is None else _ADAPTER.validate_python(kept)


def _has_templates(tenant: Tenant, model: GalleryModel) -> bool:
    return Template.objects.filter(tenant=tenant, model_id=model.model_id).exists()


def _fault(tenant: str, bound: GalleryModel, model: GalleryModel) -> str:
    return (
        f"the gallery of {tenant} was made with the embedder {bound}, and the service has {model}: "
        "run the service with the former (FACE_EMBEDDER), or erase its people and enrol them anew"
    )
