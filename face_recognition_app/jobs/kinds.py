"""What is known of each type of job: who may ask for it, with what, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.utils.module_loading import import_string
from pydantic import BaseModel, ConfigDict

from tenants.scopes import Scope
from vocabulary.jobs import JobType

if TYPE_CHECKING:  # Who accepts jobs runs none.
    from jobs.run import Again, Result, Run

Group = Literal["cpu", "io", "db", "general"]


class Payload(BaseModel):
    """What a job is asked to do. Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Payloads = type[Payload]


class Nothing(Payload):
    """For jobs that need nothing said."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`work` does the job, or a part of it that ends within seconds, and may be called again with the same checkpoint:
    it is called at least once. It raises Refused for what no other try would mend.

    `group`: what it uses most, for sizing. `scope`: of a key that may ask for it; None for operators alone.
    `of_tenant`: whether it is for one tenant, for the operator, or for either. `recorded`: whether the audit trail says
    that it was asked for.
    """

    type: JobType
    meaning: str
    payload: Payloads
    work: Callable[[Run, Any], Result | Again]
    group: Group = "general"
    scope: Scope | None = None
    of_tenant: Literal["always", "never", "either"] = "always"
    recorded: bool = True


def kind_of(type_: JobType) -> Kind:
    return catalogue()[type_]


@cache
def catalogue() -> Mapping[JobType, Kind]:
    """Every kind. What does the work stands above this room, so that it is named in Django's settings."""
    kinds: list[Kind] = import_string(settings.JOB_KINDS)
    return {kind.type: kind for kind in kinds}
