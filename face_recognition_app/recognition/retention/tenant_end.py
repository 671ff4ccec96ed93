"""Counting and deleting all data of a tenant: no row of the tenant or its people is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from database import clock, write_ahead_log
from gallery.models import Subject, Template, TemplateKey
from recognition.models import Session
from recognition.retention.batches import apply_in_batches
from tenants.keys import keys_of
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Belongings:
    """Number of each kind of row of a tenant."""

    subjects: int
    templates: int
    sessions: int
    keys: int


def belongings(tenant: Tenant) -> Belongings:
    return Belongings(
        subjects=Subject.objects.filter(tenant=tenant).count(),
        templates=Template.objects.filter(tenant=tenant).count(),
        sessions=Session.objects.filter(tenant=tenant).count(),
        keys=keys_of(tenant).count(),
    )


def delete_tenant(tenant: Tenant) -> None:
    """Revoke the keys, delete the sessions, then everything else; safe to repeat after an interruption.

    Most rows go in short transactions, so that other tenants' requests pass in between. Sockets notice that their
    session is gone at their next frame or at their time limit, galleries in memory within a round of periodic work.
    """
    keys_of(tenant).update(revoked_at=clock.in_query())
    for rows in _everything(tenant):
        while apply_in_batches(rows):
            pass
    tenant.delete()
    write_ahead_log.empty()


def _everything(tenant: Tenant) -> Iterator[QuerySet[Any]]:
    """The rows of every table with a tenant.

    Sessions come first: a session must not write a decision afterwards. Then the secrets, without which no template can
    be read.
    """
    yield Session.objects.filter(tenant=tenant)
    yield TemplateKey.objects.filter(tenant=tenant)
    for relation in Tenant._meta.related_objects:
        rows: QuerySet[Any] = relation.related_model._default_manager.filter(**{relation.field.name: tenant})
        yield rows
