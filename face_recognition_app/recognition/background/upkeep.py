"""Making indexes anew and rotating secrets, as `manage.py rebuild_index` and `rotate_keys` do."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, model_validator

from config.service import service_settings
from database import write_ahead_log
from gallery.models import Template
from gallery.protection import reprotection
from gallery.protection.master_keys import MasterKeys
from gallery.protection.reprotection import Begun, Rotated, UnreadableTemplate
from gallery.protection.tenant_secrets import TenantSecrets
from gallery.stores.base import TemplateStore
from jobs.kinds import Kind, Nothing, Payload
from jobs.run import Again, Refused, Result, Run
from recognition.background.parts import Part, in_parts
from recognition.deciding import Deciding
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.jobs import JobType

BUSY_WAIT_S = 5.0
"""While another process makes the same index anew."""
MOST_WAITS = 60


class Rebuilt(BaseModel):
    tenant: str
    templates: int


class RebuildState(BaseModel):
    """`left`: primary keys of tenants whose index is still to be made; None before they are looked up, with the number
    of their templates. `waits`: how often the first of them was busy."""

    left: list[int] | None = None
    total: int = 0
    rebuilt: list[Rebuilt] = []
    waits: int = 0


@in_parts
def rebuild_index(run: Run, asked: Nothing) -> Result | Again:
    """One index after the other. Where a store begins anew what was cut off, each is made in one part."""
    deciding, part = Deciding.load(service_settings()), Part(run, RebuildState)
    state = part.state
    if state.left is None:
        state.left = _chosen(run)
        state.total = sum(Template.objects.filter(tenant=pk).count() for pk in state.left)
        part.keep()
    while state.left:
        tenant = Tenant.objects.filter(pk=state.left[0]).first()
        if tenant is not None:
            templates = _rebuild(part, deciding.gallery_of(tenant).store, tenant)
            if templates is None:
                return _wait(part, tenant)
            state.rebuilt.append(Rebuilt(tenant=tenant.name, templates=templates))
        state.left, state.waits = state.left[1:], 0
        part.keep()
        part.advance(run.done, run.total)
    return {"rebuilt": [one.model_dump() for one in state.rebuilt]}


def _rebuild(part: Part[RebuildState], store: TemplateStore, tenant: Tenant) -> int | None:
    """Number of templates; None while another process makes the index."""
    read, before = 0, sum(one.templates for one in part.state.rebuilt)

    tell = part.advance if store.resumes_rebuilds else part.show

    def advance(done: int, total: int) -> None:
        nonlocal read
        read = done
        tell(before + done, max(part.state.total, before + total))

    return read if store.rebuild(tenant, advance) else None


def _wait(part: Part[RebuildState], tenant: Tenant) -> Again:
    part.state.waits += 1
    if part.state.waits > MOST_WAITS:
        raise Refused(f"another process makes the index anew just now: {tenant.name}")
    part.keep()
    return Again(BUSY_WAIT_S)


class RotateKeys(Payload):
    """`master`: only wrap secrets by the newest master key. `finish`: delete the old secrets at once, because one
    leaked; sessions that were open before end."""

    master: bool = False
    finish: bool = False

    @model_validator(mode="after")
    def _is_one_of_them(self) -> RotateKeys:
        if self.master and self.finish:
            raise ValueError("master and finish exclude each other")
        return self


class RotateState(BaseModel):
    """`begun`: the rotation of the first tenant that is left; None before it."""

    left: list[int] | None = None
    rewrapped: int = 0
    begun: Begun | None = None
    rotated: list[Rotated] = []
    deleted: int = 0


@in_parts
def rotate_keys(run: Run, asked: RotateKeys) -> Result:
    secrets, part = TenantSecrets(MasterKeys.load(service_settings())), Part(run, RotateState)
    state = part.state
    if state.left is None:
        state.rewrapped = secrets.wrapped_by_older(run.tenant).count()
        state.left = [] if asked.master else _chosen(run)
        part.keep()
    secrets.rewrap(run.tenant)
    while state.left:
        tenant = Tenant.objects.filter(pk=state.left[0]).first()
        if tenant is None:
            state.left, state.begun = state.left[1:], None
            continue
        _rotate(part, secrets, tenant, finish=asked.finish)
        part.advance(run.done, run.total)
    return {"rewrapped": state.rewrapped, "rotated": [asdict(one) for one in state.rotated], "deleted": state.deleted}


def _rotate(part: Part[RotateState], secrets: TenantSecrets, tenant: Tenant, *, finish: bool) -> None:
    state = part.state
    if state.begun is None:
        with part.step():
            state.begun = reprotection.begin(tenant, secrets)
    begun, before = state.begun, sum(one.templates for one in state.rotated)

    def on_page(done: int, total: int) -> None:
        part.advance(before + max(0, begun.left - total) + done, before + max(begun.left, total))

    try:
        reprotection.go_on(tenant, secrets, begun.epoch, on_page)
    except UnreadableTemplate as error:
        raise Refused(str(error)) from error
    # A run that was killed behind the last page may have told nothing of it.
    part.run.done = part.run.total = before + begun.left
    with part.step():
        if finish:
            state.deleted += reprotection.delete_retired(tenant)
        state.rotated.append(Rotated(tenant.name, begun.epoch, begun.left, begun.resumed))
        state.left, state.begun = (state.left or [])[1:], None
    write_ahead_log.empty()


def _chosen(run: Run) -> list[int]:
    """Primary keys of the tenants that the job is for."""
    tenants = Tenant.objects.order_by("name") if run.tenant is None else Tenant.objects.filter(pk=run.tenant.pk)
    return list(tenants.values_list("pk", flat=True))


KINDS = [
    Kind(
        JobType.REBUILD_INDEX,
        "Makes the index of a gallery, or of all, anew from the database.",
        Nothing,
        rebuild_index,
        "db",
        Scope.ADMIN,
        of_tenant="either",
    ),
    Kind(
        JobType.ROTATE_KEYS,
        "Gives a tenant, or each, a new secret, and protects templates and pictures with it.",
        RotateKeys,
        rotate_keys,
        "db",
        Scope.ADMIN,
        of_tenant="either",
    ),
]
