"""Rows of the audit trail: the entries of each tenant's chain, and its head."""

from __future__ import annotations

from django.db import models

from database.owned import TenantOwned


class AuditEntry(TenantOwned):
    """One event. `hash` is keyed and covers every other field and the hash of the entry before.

    `reference` stands for a subject. It is random, and the subject's row alone says whose it is: after an erasure the
    entry names nobody and still verifies. `details` has numbers, truth values, words and references, never more.
    """

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="audit_entries")
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=32)
    reference = models.CharField(max_length=32, blank=True, default="")
    actor_kind = models.CharField(max_length=16)
    actor_reference = models.CharField(max_length=64, blank=True, default="")
    actor_name = models.CharField(max_length=96, blank=True, default="")
    request_id = models.CharField(max_length=128, blank=True, default="")
    details = models.JSONField(default=dict)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "sequence"], name="audit_entry_once_per_sequence")]
        indexes = [
            models.Index(fields=["tenant", "reference", "id"], name="audit_by_subject"),
            models.Index(fields=["tenant", "kind", "id"], name="audit_by_kind"),
            models.Index(fields=["at"], name="audit_by_age"),
        ]

    def __str__(self) -> str:
        return f"entry {self.sequence} of {self.tenant_id}"


class AuditHead(TenantOwned):
    """Both ends of a tenant's chain: the last entry, and the anchor, which is the last of those that were pruned.

    `begun`: number of the entry with which the chain was begun anew after it was found broken (audit.beginning); 0 for
    a chain that never was. Entries before it are kept as they were found, and are no part of the chain. `signature` is
    keyed and covers all other fields, so that entries cannot be cut off at either end.
    """

    tenant = models.OneToOneField("tenants.Tenant", models.CASCADE, related_name="audit_head")
    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True, default="")
    anchor_sequence = models.PositiveBigIntegerField(default=0)
    anchor_hash = models.CharField(max_length=64, blank=True, default="")
    begun = models.PositiveBigIntegerField(default=0, db_default=0)
    signature = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"head {self.sequence} of {self.tenant_id}"
