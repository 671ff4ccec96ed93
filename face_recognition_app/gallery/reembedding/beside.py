"""What another embedder makes of the pictures, beside the templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from core.errors import ImageError
from core.types import Embedding
from gallery import binding, pictures
from gallery.binding import GalleryModel
from gallery.matching import Gallery
from gallery.models import Feedback, Reembedded, Subject, Template, TemplateOrigin
from gallery.protection.errors import Tampered
from tenants.models import Tenant

PAGE = 50
"""Templates in one transaction, 10 ms: on SQLite no other write is possible while it lasts."""
PAUSE_S = 0.01

Embed = Callable[[bytes], Embedding | None]
"""Function that embeds a picture; None where the embedder recognises nobody. Raises ImageError."""


class UnreadablePicture(Exception):
    """A picture stops the move. The message names its template."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move of a gallery would do.

    `unmovable`: templates of `people` that have no picture, or are not of the gallery's embedder. `adaptive` and
    `feedback`: rows that are deleted, since no picture is of them.
    """

    tenant: Tenant
    former: GalleryModel
    movable: int
    unmovable: int
    people: int
    adaptive: int
    feedback: int


def plan(tenant: Tenant, target: Gallery) -> Plan | None:
    """None when there is nothing to move: no templates, or those of the target already."""
    former = binding.model_of(tenant)
    templates = Template.objects.filter(tenant=tenant)
    if former is None or former.model_id == target.model_id or not templates.exists():
        return None
    left = without_picture(tenant, former.model_id, target.model_id)
    return Plan(
        tenant,
        former,
        to_move(tenant, former.model_id).count() - left.filter(model_id=former.model_id).count(),
        left.count(),
        left.values("subject").distinct().count(),
        templates.filter(origin=TemplateOrigin.ADAPTIVE).count(),
        Feedback.objects.filter(tenant=tenant, model_id=former.model_id).count(),
    )


def to_move(tenant: Tenant, former: str) -> QuerySet[Template]:
    """The templates that are to be of the new embedder. Adaptive ones come back by themselves."""
    return Template.objects.filter(tenant=tenant, model_id=former).exclude(origin=TemplateOrigin.ADAPTIVE)


def without_picture(tenant: Tenant, former: str, target: str) -> QuerySet[Template]:
    """Enrolled templates that cannot be made anew, and have not been."""
    enrolled = Template.objects.filter(tenant=tenant).exclude(origin=TemplateOrigin.ADAPTIVE)
    done = Q(reembedded__model_id=target)
    return enrolled.exclude(Q(model_id=former) & (Q(picture__isnull=False) | done))


def forget_other_moves(tenant: Tenant, target: str) -> None:
    """Delete what a move to yet another embedder, which was given up, has left."""
    Reembedded.objects.filter(tenant=tenant).exclude(model_id=target).delete()


def embed_beside(
    tenant: Tenant, target: Gallery, embed: Embed, unrecognised: set[int], on_page: Callable[[int, int], None]
) -> None:
    """Embed the pictures that are not embedded yet, page by page. Adds those that show nobody to `unrecognised`."""
    former = binding.model_of(tenant)
    if former is None or former.model_id == target.model_id:
        return
    all_of_it = to_move(tenant, former.model_id).filter(Q(picture__isnull=False) | Q(reembedded__isnull=False))
    left = all_of_it.filter(reembedded__isnull=True).select_related("picture")
    total = all_of_it.count()
    done = total - left.count()
    on_page(done, total)
    last = 0
    while page := list(left.filter(pk__gt=last).exclude(pk__in=unrecognised).order_by("pk")[:PAGE]):
        last = page[-1].pk
        made = {template.pk: _embedded(template, tenant, target, embed) for template in page}
        unrecognised.update(pk for pk, found in made.items() if found is None)
        _keep(tenant, target, page, {pk: found for pk, found in made.items() if found is not None})
        done += len(page)
        on_page(min(done, total), total)
        time.sleep(PAUSE_S)


def _embedded(template: Template, tenant: Tenant, target: Gallery, embed: Embed) -> Embedding | None:
    try:
        return embed(pictures.content_of(template.picture, tenant, target.protection))
    except (Tampered, ImageError) as error:
        raise UnreadablePicture(
            f"the picture of template {template.public_id} of tenant {tenant.name} cannot be read ({error}): "
            "delete the template, and begin again"
        ) from error


def _keep(tenant: Tenant, target: Gallery, page: Sequence[Template], made: Mapping[int, Embedding]) -> None:
    """Store what was made, except for subjects that others hold, who may be erasing them; the next pass gets them."""
    with transaction.atomic():
        subjects = Subject.objects.filter(tenant=tenant, pk__in={template.subject_id for template in page})
        held = list(subjects.order_by("pk").select_for_update(no_key=True, skip_locked=True))
        tenant.lock()  # So that no rotation of secrets ends between protecting and storing.
        rows = Template.objects.filter(tenant=tenant, pk__in=list(made), subject__in=held, reembedded__isnull=True)
        still = list(rows)
        vectors = target.protection.protect([made[template.pk] for template in still], tenant)
        Reembedded.objects.bulk_create(
            Reembedded(tenant=tenant, template=template, model_id=target.model_id, vector=vector)
            for template, vector in zip(still, vectors, strict=True)
        )
