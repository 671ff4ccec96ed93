"""Tenants, the users of the service, and their keys. Every other row belongs to a tenant."""

from __future__ import annotations

import uuid

from django.db import models

from database import rows
from database.owned import TenantOwned
from tenants.scopes import Scope, opened_by, read_scopes


class Tenant(models.Model):
    name = models.CharField(max_length=64, unique=True)
    gallery_version = models.PositiveBigIntegerField(
        default=0, help_text="Raised in the transaction that changes a template, so that every worker notices."
    )
    liveness = models.CharField(max_length=16, default="passive", help_text="Of sessions that name none.")
    liveness_minimum = models.CharField(max_length=16, default="none", help_text="Sessions may not ask for less.")
    challenge_steps = models.PositiveSmallIntegerField(null=True, help_text="Null: as many as the policy has.")
    challenge_actions = models.JSONField(null=True, help_text="Names of what a challenge may ask for; null: all.")
    covered_faces = models.BooleanField(default=False, help_text="Whether masked people may be recognised.")
    adaptive_templates = models.BooleanField(
        default=False, db_default=False, help_text="Whether a sure and live recognition may become a template."
    )
    consent_required = models.BooleanField(
        default=False, db_default=False, help_text="Whether nobody is enrolled without a record of consent."
    )
    unseen_days = models.PositiveIntegerField(
        null=True, help_text="Days without a success after which a subject is erased; null: never."
    )
    picture_days = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Days for which aligned pictures of enrolled faces are kept; 0: none are."
    )
    calibration = models.JSONField(
        null=True, help_text="What was measured of the tenant's gallery; null: the embedder's profile holds."
    )
    gallery_model = models.JSONField(
        null=True, help_text="The embedder that made the tenant's templates; null: there are none."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def lock(self) -> None:
        """Lock the tenant until the transaction ends: enrolments and changes of keys run one after the other. Reads
        the row anew. Raises DoesNotExist."""
        locked = rows.lock(Tenant, id=self.pk)
        if locked is None:
            raise Tenant.DoesNotExist
        for field in self._meta.concrete_fields:
            setattr(self, field.attname, getattr(locked, field.attname))


class ApiKey(TenantOwned):
    """A key is shown once; only its hash is kept. Keys are random, so a fast hash is enough.

    `prefix`: the beginning of the key's text, which tells keys apart; empty for keys of older versions.
    `successor`: the key that a rotation issued in its place.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=64)
    scopes = models.JSONField(help_text="Names of what the key may be used for.")
    prefix = models.CharField(max_length=16, blank=True, default="")
    key_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    successor = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return f"key {self.public_id} of {self.tenant_id}"

    @property
    def opens(self) -> frozenset[Scope]:
        return opened_by(read_scopes(self.scopes))
