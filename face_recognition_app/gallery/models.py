"""The people a tenant knows and what is kept of their faces."""

from __future__ import annotations

import uuid
from enum import StrEnum

from django.db import models

from database.owned import TenantOwned
from gallery.names import MAX_CONSENT_NAME, MAX_DISPLAY_NAME
from tenants.models import Tenant


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
    reference = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        null=True,
        editable=False,
        help_text="Stands for the person in the audit trail.",
    )
    seen_at = models.DateTimeField(null=True, help_text="Time of the last success; null: none yet.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "subject_id"], name="subject_once_per_tenant")]

    def __str__(self) -> str:
        return self.subject_id


class Renewal(StrEnum):
    """What an enrolment does with the templates that the subject has.

    NONE       keeps them; the new face must match them
    REPLACE    deletes them in the transaction that stores the new ones; the new face must match them
    UNCHECKED  deletes them likewise; the new face need not match them
    """

    NONE = "none"
    REPLACE = "replace"
    UNCHECKED = "unchecked"


class TemplateOrigin(models.TextChoices):
    """How a template came to be.

    ENROLLED  from an enrolment
    RENEWED   from an enrolment that replaced the templates before, and matched them
    UNCHECKED from one that replaced them, and did not have to match them
    ADAPTIVE  from a recognition, by the tenant's policy (gallery.adaptation)
    """

    ENROLLED = "enrolled"
    RENEWED = "renewed"
    UNCHECKED = "unchecked"
    ADAPTIVE = "adaptive"


class ProtectedRow(TenantOwned):
    """A row with an embedding: in its stored form (gallery.protection), bound to the model that made it.

    What derives from it is protected anew with the tenant's templates.
    """

    model_id = models.CharField(max_length=64)
    vector = models.BinaryField()

    class Meta:
        abstract = True


class Template(ProtectedRow):
    """One sample of a face: its embedding, protected, bound to the model that made it. `quality` 0..1, null for an
    adaptive template, whose picture was not rated."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="templates")
    subject = models.ForeignKey(Subject, models.CASCADE, related_name="templates")
    quality = models.FloatField(null=True)
    origin = models.CharField(
        max_length=9, choices=TemplateOrigin, default=TemplateOrigin.ENROLLED, db_default=TemplateOrigin.ENROLLED
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "model_id", "id"], name="template_by_tenant_and_model")]

    def __str__(self) -> str:
        return f"{self.public_id} of {self.subject}"


class Picture(TenantOwned):
    """The aligned crop that a template was made from, as PNG, sealed (gallery.pictures). Kept by the tenant's policy.

    Its seal is bound to the template.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="pictures")
    template = models.OneToOneField(Template, models.CASCADE, related_name="picture")
    content = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="picture_by_age")]

    def __str__(self) -> str:
        return f"picture of template {self.template_id}"


class ImportedPicture(TenantOwned):
    """The file that an import made a template from, by the SHA-256 of its content: another import knows it again."""

    subject = models.ForeignKey(Subject, models.CASCADE, related_name="imported_pictures")
    template = models.OneToOneField(Template, models.CASCADE, related_name="imported")
    sha256 = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "sha256"], name="picture_imported_once")]

    def __str__(self) -> str:
        return f"file of template {self.template_id}"


class Reembedded(ProtectedRow):
    """What another embedder makes of a template's picture, until the gallery is moved to it (gallery.reembedding)."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="reembedded")
    template = models.OneToOneField(Template, models.CASCADE, related_name="reembedded")

    def __str__(self) -> str:
        return f"template {self.template_id} by {self.model_id}"


class Feedback(ProtectedRow):
    """A picture of which it was said that it does not show the subject: its embedding, protected as a template is.

    `session`: the id of the session that the picture comes from; null for a picture that was sent. `key`: the public id
    of the API key that said so.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="feedback")
    subject = models.ForeignKey(Subject, models.CASCADE, related_name="feedback")
    session = models.UUIDField(null=True)
    key = models.UUIDField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["subject", "model_id"], name="feedback_by_subject"),
            models.Index(fields=["created_at"], name="feedback_by_age"),
        ]

    def __str__(self) -> str:
        return f"feedback {self.pk} on {self.subject_id}"


class Consent(TenantOwned):
    """What a subject has agreed to: `text` and `version` name the words, `given_by` the way."""

    subject = models.ForeignKey(Subject, models.CASCADE, related_name="consents")
    text = models.CharField(max_length=MAX_CONSENT_NAME)
    version = models.CharField(max_length=MAX_CONSENT_NAME)
    given_by = models.CharField(max_length=8, choices=[("page", "Page"), ("rest", "Rest")])
    given_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.text} {self.version}"


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
