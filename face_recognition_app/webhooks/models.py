"""Endpoints of tenants, and what is to be delivered to them."""

from __future__ import annotations

import uuid

from django.db import models

from database.owned import TenantOwned
from tenants.models import Tenant
from vocabulary.webhooks import DeliveryStatus, Disabled, EventType

MAX_URL_CHARACTERS = 1_024
MAX_DESCRIPTION_CHARACTERS = 200


class Endpoint(TenantOwned):
    """Where events of a tenant are sent. `events`: names of those that are wanted; empty for all.

    `secret` and `former_secret`, which signs, too, until `former_until`, are sealed (webhooks.secrets).
    `failing_since`: time of the first failed try after the last success. `failures`: number of failed tries since then;
    after several of them one delivery at a time is tried, and none before `rests_until`.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=MAX_URL_CHARACTERS)
    events = models.JSONField(default=list)
    description = models.CharField(max_length=MAX_DESCRIPTION_CHARACTERS, default="", blank=True)
    secret = models.BinaryField()
    former_secret = models.BinaryField(null=True)
    former_until = models.DateTimeField(null=True)
    enabled = models.BooleanField(default=True)
    disabled_because = models.CharField(
        max_length=12, default="", blank=True, choices=[(why.value, why.value) for why in Disabled]
    )
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    rests_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"webhook {self.public_id}"


class Delivery(TenantOwned):
    """One event for one endpoint, made in the transaction of what happened.

    `body` is what is sent and signed, at each try; empty when the person it was about was erased and has been told of.
    `is_replay`: it was asked for again, and waits for none of the same subject. `waits`: its job has ended because an
    earlier one of the subject was under way, and that one's job makes another. `attempts`: the last tries, as
    webhooks.attempts writes them; `tries` counts those since the beginning or the last replay.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="webhook_deliveries")
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries")
    type = models.CharField(max_length=32, choices=[(one.value, one.value) for one in EventType])
    subject_id = models.CharField(max_length=128, default="", blank=True)
    body = models.TextField()
    status = models.CharField(
        max_length=12,
        choices=[(one.value, one.value) for one in DeliveryStatus],
        default=DeliveryStatus.PENDING.value,
    )
    is_replay = models.BooleanField(default=False)
    waits = models.BooleanField(default=False)
    tries = models.PositiveIntegerField(default=0)
    attempts = models.JSONField(default=list)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["endpoint", "id"], name="deliveries_of_endpoint"),
            models.Index(fields=["tenant", "subject_id"], name="deliveries_by_subject"),
            models.Index(
                fields=["endpoint", "subject_id", "id"],
                condition=models.Q(status=DeliveryStatus.PENDING.value),
                name="deliveries_pending",
            ),
            models.Index(fields=["created_at"], name="deliveries_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.public_id}"
