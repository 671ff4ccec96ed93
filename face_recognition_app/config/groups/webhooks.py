"""Settings of webhooks."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from config.groups.values import Names, SettingsGroup, comma_separated


def _hosts_or_networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not (_is_network(name) or re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name)):
            raise ValueError(f"{name} is neither a host's name nor a network as in 10.0.0.0/8")
    return names


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _waits(seconds: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0.1 <= one <= 604_800 for one in seconds) or len(seconds) > 20:
        raise ValueError("at most 20 numbers of seconds, each from 0.1 to 604800")
    return seconds


class WebhookSettings(SettingsGroup):
    webhook_allow: Annotated[Names, AfterValidator(_hosts_or_networks)] = Field(
        (),
        alias="FACE_WEBHOOK_ALLOW",
        description="Hosts and networks that webhooks may be sent to although they are not public, with commas.",
    )
    webhook_retry_s: Annotated[tuple[float, ...], BeforeValidator(comma_separated), AfterValidator(_waits)] = Field(
        (5, 300, 1_800, 7_200, 18_000, 36_000),
        alias="FACE_WEBHOOK_RETRY_S",
        description="Seconds before each further try of a delivery; after the last one it is given up.",
    )
    webhook_timeout_s: float = Field(
        15.0, alias="FACE_WEBHOOK_TIMEOUT_S", ge=1, le=20, description="Time in which a receiver must have answered."
    )
    webhook_disable_after_days: int = Field(
        5,
        alias="FACE_WEBHOOK_DISABLE_AFTER_DAYS",
        ge=1,
        le=365,
        description="A webhook to which nothing was delivered for so long, while it was tried, is disabled.",
    )
