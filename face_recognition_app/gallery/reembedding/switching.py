"""The switch of a gallery to another embedder: one transaction, before and after which everybody is found.

Templates keep their rows, and so their ids, times and pictures: whoever erases a template at the same time erases it
whichever embedder has made it by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery

from audit.chain import Detail, Event, record
from gallery import binding, changes
from gallery.matching import Gallery
from gallery.models import Feedback, Picture, ProtectedRow, Reembedded, Template, TemplateOrigin
from gallery.reembedding.beside import to_move
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import EventType
from webhooks import outbox


class NotMovable(Exception):
    """Templates that the new embedder did not make would be lost. The message says how many, and what to do."""


@dataclass(frozen=True, slots=True)
class Moved:
    """`templates` are now of the embedder `model_id`. Deleted were `erased` templates that could not be moved, and rows
    of the former embedder that no picture is of: `adaptive` templates, and `feedback`."""

    tenant: str
    model_id: str
    templates: int
    erased: int
    adaptive: int
    feedback: int


Keep = Callable[[Moved], object]
"""Is told what a switch has done, within its transaction: what it stores is there if and only if that is done."""


def switch(
    tenant: Tenant,
    target: Gallery,
    unrecognised: set[int],
    *,
    erase_unmovable: bool,
    keep: Keep = lambda moved: None,
) -> Moved | None:
    """Make every template one of the target's embedder, if there is a row beside each; None when some came meanwhile.

    `unrecognised`: templates whose pictures show nobody to the target's embedder. Raises NotMovable for these, and for
    those without a picture, unless they may be erased.
    """
    with transaction.atomic():
        tenant.lock()
        former = binding.model_of(tenant)
        if former is None or former.model_id == target.model_id:
            return Moved(tenant.name, target.model_id, 0, 0, 0, 0)
        done = Q(reembedded__model_id=target.model_id)
        ready = to_move(tenant, former.model_id).filter(done)
        others = Template.objects.filter(tenant=tenant).exclude(Q(model_id=former.model_id) & done)
        lost = others.exclude(origin=TemplateOrigin.ADAPTIVE)
        if lost.filter(model_id=former.model_id, picture__isnull=False).exclude(pk__in=unrecognised).exists():
            return None
        erased = lost.count()
        if erased and not erase_unmovable:
            raise NotMovable(why_not(tenant, erased, lost.values("subject").distinct().count()))
        adaptive = others.count() - erased
        _delete(tenant, others)
        moved = _put_in_place(tenant, ready, target.model_id)
        feedback = _delete_the_rest(tenant, former.model_id)
        Tenant.objects.filter(pk=tenant.pk).update(gallery_model=asdict(target.model))
        changes.break_off(tenant.pk)
        target.store.moved(tenant)
        details: dict[str, Detail] = {"model": target.model_id, "templates": moved, "erased": erased}
        record(tenant.pk, Event(AuditKind.GALLERY_MOVED, None, details))
        done_now = Moved(tenant.name, target.model_id, moved, erased, adaptive, feedback)
        keep(done_now)
        outbox.note(tenant, outbox.Event(EventType.GALLERY_MOVED, {"model": target.model_id, "templates": moved}))
    return done_now


def why_not(tenant: Tenant, templates: int, people: int) -> str:
    return (
        f"{templates} templates of {people} people of tenant {tenant.name} have no picture that the embedder can use, "
        "and would be lost: enrol these people anew, with pictures (manage.py set_policy --keep-pictures), or erase "
        "such templates with the move (--erase-unmovable)"
    )


def _delete(tenant: Tenant, templates: QuerySet[Template]) -> None:
    """Delete at once what may be thousands of rows; what follows from it, the switch does for the whole gallery."""
    Picture.objects.filter(tenant=tenant, template__in=templates).delete()
    templates._raw_delete(using=connection.alias)


def _put_in_place(tenant: Tenant, ready: QuerySet[Template], model_id: str) -> int:
    beside = Reembedded.objects.filter(tenant=tenant, template=OuterRef("pk")).values("vector")
    moved = ready.update(model_id=model_id, vector=Subquery(beside))
    Reembedded.objects.filter(tenant=tenant).delete()
    return moved


def _delete_the_rest(tenant: Tenant, former: str) -> int:
    """Delete every other embedding by the former embedder, which nothing is compared with any more. Returns the number
    of those that were feedback."""
    feedback = Feedback.objects.filter(tenant=tenant, model_id=former).count()
    holders: list[Any] = [model for model in apps.get_models() if issubclass(model, ProtectedRow)]
    for model in holders:
        model.objects.filter(tenant=tenant, model_id=former).delete()
    return feedback
