"""Values that variables of several groups have, and what all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class SettingsGroup(BaseModel):
    """Each field's alias is its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(comma_separated)]
