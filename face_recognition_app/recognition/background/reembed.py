"""Moving galleries to the embedder of FACE_EMBEDDER, as `manage.py reembed` does."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial

from pydantic import BaseModel

from config.service import service_settings
from database import write_ahead_log
from gallery.reembedding import move
from gallery.reembedding.beside import Embed, UnreadablePicture, plan
from gallery.reembedding.switching import Moved, NotMovable
from jobs.kinds import Kind, Payload
from jobs.run import Refused, Result, Run
from recognition.background.parts import Part, in_parts
from recognition.deciding import Deciding
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.jobs import JobType

logger = logging.getLogger(__name__)

ALONE = (
    "FACE_FORMER_EMBEDDER is not set: a service that has only the former embedder refuses these galleries once they "
    "are moved, and one that has only the new one refuses them until then"
)


class Reembed(Payload):
    """`erase_unmovable`: erase templates without a picture, which cannot be moved; their people must be enrolled
    anew."""

    erase_unmovable: bool = False


class State(BaseModel):
    """`left`: primary keys of tenants whose gallery is still to be moved; None before they are looked up.
    `total`: templates that were to be moved then. `unrecognised`: templates of the first of them whose pictures show
    nobody."""

    left: list[int] | None = None
    total: int = 0
    unrecognised: list[int] = []
    moved: list[Moved] = []


def embedder(deciding: Deciding) -> Embed:
    """The embedder in use, for kept pictures. Raises ModelError."""
    from core.features.embedder.network import Embedder  # Loads the engine's libraries only where something is moved.
    from core.imaging.crop_file import from_png
    from weights.catalogue import ensure_models

    chosen = deciding.embedder
    models = ensure_models(deciding.settings.model_dir)
    network = Embedder.load(chosen.file(models), least_length=chosen.profile.least_length)
    return lambda picture: network.embed(from_png(picture))


@in_parts
def reembed(run: Run, asked: Reembed) -> Result:
    deciding, part = Deciding.load(service_settings()), Part(run, State)
    if part.state.left is None:
        tenants = [run.tenant] if run.tenant is not None else list(Tenant.objects.order_by("name"))
        plans = [found for tenant in tenants if (found := plan(tenant, deciding.gallery)) is not None]
        part.state.left = [one.tenant.pk for one in plans]
        part.state.total = sum(one.movable for one in plans)
        part.keep()
    if part.state.left:
        _move(part, deciding, asked)
    deciding.gallery.store.catch_up()  # It deletes the indexes of the former embedder.
    return {"model_id": deciding.gallery.model_id, "moved": [asdict(one) for one in part.state.moved]}


def _move(part: Part[State], deciding: Deciding, asked: Reembed) -> None:
    if deciding.former is None:
        logger.warning("%s", ALONE)
    embed, state = embedder(deciding), part.state
    while state.left:
        tenant = Tenant.objects.filter(pk=state.left[0]).first()
        if tenant is not None:
            _move_one(part, deciding, embed, tenant, asked)
        state.left, state.unrecognised = state.left[1:], []
        part.keep()


def _move_one(part: Part[State], deciding: Deciding, embed: Embed, tenant: Tenant, asked: Reembed) -> None:
    if plan(tenant, deciding.gallery) is None:
        return  # Moved by the run before, which was cut off behind the switch.
    unrecognised, before = set(part.state.unrecognised), sum(one.templates for one in part.state.moved)

    def on_page(done: int, total: int) -> None:
        part.state.unrecognised = sorted(unrecognised)
        part.advance(before + done, max(part.state.total, before + total))

    try:
        move(
            tenant,
            deciding.gallery,
            embed,
            on_page,
            erase_unmovable=asked.erase_unmovable,
            unrecognised=unrecognised,
            keep=partial(_keep, part),
        )
    except (NotMovable, UnreadablePicture) as error:
        raise Refused(str(error)) from error
    write_ahead_log.empty()
    deciding.gallery.store.refresh(tenant)  # So that no request waits for the index.


def _keep(part: Part[State], moved: Moved) -> None:
    part.state.moved.append(moved)
    part.keep()


KINDS = [
    Kind(
        JobType.REEMBED,
        "Moves a gallery, or all, to the embedder in use, from kept pictures.",
        Reembed,
        reembed,
        "cpu",
        Scope.ADMIN,
        of_tenant="either",
    )
]
