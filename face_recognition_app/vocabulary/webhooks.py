"""Events that tenants are told of, and what became of telling them."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happened. `webhook.test` is sent when a tenant asks for it."""

    SESSION_SUCCEEDED = "session.succeeded"
    SESSION_FAILED = "session.failed"
    SESSION_CANCELLED = "session.cancelled"
    SESSION_EXPIRED = "session.expired"
    SUBJECT_CREATED = "subject.created"
    SUBJECT_ENROLLED = "subject.enrolled"
    SUBJECT_UPDATED = "subject.updated"
    SUBJECT_DELETED = "subject.deleted"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    TEMPLATE_DELETED = "template.deleted"
    LOCK_RAISED = "lock.raised"
    LOCK_REMOVED = "lock.removed"
    GALLERY_MOVED = "gallery.moved"
    JOB_FINISHED = "job.finished"
    WEBHOOK_TEST = "webhook.test"


class DeliveryStatus(StrEnum):
    """State of a delivery.

    PENDING    not delivered yet: waits for its first or next try
    DELIVERED  the receiver has answered with 2xx
    DEAD       given up after the last try, or because its endpoint is disabled
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Disabled(StrEnum):
    """Why an endpoint is disabled.

    REQUESTED  its tenant has asked for it
    GONE       it has answered with 410
    FAILING    nothing was delivered to it for days
    """

    REQUESTED = "requested"
    GONE = "gone"
    FAILING = "failing"
