"""The people a tenant knows and what is kept of their faces."""

from __future__ import annotations

import uuid

from django.db import models

from gallery.names import MAX_DISPLAY_NAME
from tenants.models import Tenant
from tenants.owned import TenantOwned


class Subject(TenantOwned):
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="subjects")
    subject_id = models.CharField(max_length=128, help_text="The tenant's own id of the person.")
    display_name = models.CharField(
        max_length=MAX_DISPLAY_NAME,
        blank=True,
        default="",
        db_default="",
        help_text="The person's name, as it is shown.",
    )
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "subject_id"], name="subject_once_per_tenant")]

    def __str__(self) -> str:
        return self.subject_id


class Template(TenantOwned):
    """One sample of a face: its embedding, protected, bound to the model that made it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="templates")
    subject = models.ForeignKey(Subject, models.CASCADE, related_name="templates")
    model_id = models.CharField(max_length=64)
    vector = models.BinaryField()
    quality = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "model_id", "id"], name="template_by_tenant_and_model")]

    def __str__(self) -> str:
        return str(self.public_id)


class TemplateChange(TenantOwned):
    """One added or removed template. `revision` is the tenant's revision after it: revisions have no gaps.

    `template_pk` may be of a deleted row. Old changes are deleted; a store further behind reads all templates again.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="template_changes")
    revision = models.PositiveBigIntegerField()
    template_pk = models.BigIntegerField()
    added = models.BooleanField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "revision"], name="change_once_per_revision")]
        indexes = [models.Index(fields=["changed_at"], name="template_change_by_age")]

    def __str__(self) -> str:
        return f"revision {self.revision} of {self.tenant_id}"


class TemplateKey(TenantOwned):
    """The secret of one of a tenant's epochs, wrapped by the master key `master_id`.

    The newest epoch protects. An older one is read until its rotation is done, which sets `retired_at`, and for some
    time after that, since indexes and open sessions may still be of it.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="template_keys")
    epoch = models.PositiveIntegerField()
    master_id = models.CharField(max_length=16)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "epoch"], name="one_secret_per_epoch")]

    def __str__(self) -> str:
        return f"secret of epoch {self.epoch} of {self.tenant_id}"
