"""Kinds of audit entries, and of actors."""

from __future__ import annotations

from enum import StrEnum


class AuditKind(StrEnum):
    """What happened. Those that end in `_read`, `_listed`, `_exported`, `_compared`, `verified`, `searched`,
    `backed_up` and `duplicate_found` read what is kept of people. `unknown` stands for what a newer version has
    recorded, or for a word that was changed in the database; no entry is recorded with it."""

    AUDIT_BEGUN_ANEW = "audit_begun_anew"
    AUDIT_READ = "audit_read"
    BACKED_UP = "backed_up"
    COMPARED = "compared"
    CONSENT_GIVEN = "consent_given"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    DECIDED = "decided"
    DUPLICATE_FOUND = "duplicate_found"
    ENROLLED = "enrolled"
    FEEDBACK_GIVEN = "feedback_given"
    GALLERY_COMPARED = "gallery_compared"
    GALLERY_MOVED = "gallery_moved"
    JOB_CANCELLED = "job_cancelled"
    JOB_CREATED = "job_created"
    JOB_READ = "job_read"
    JOB_RETRIED = "job_retried"
    KEY_ISSUED = "key_issued"
    KEY_REVOKED = "key_revoked"
    KEY_ROTATED = "key_rotated"
    LOCKED = "locked"
    LOCKS_READ = "locks_read"
    POLICY_CHANGED = "policy_changed"
    RESTORED = "restored"
    RETENTION = "retention"
    SEARCHED = "searched"
    SESSION_READ = "session_read"
    SIGNING_KEY_ROTATED = "signing_key_rotated"
    SUBJECT_CHANGED = "subject_changed"
    SUBJECT_CREATED = "subject_created"
    SUBJECT_ERASED = "subject_erased"
    SUBJECT_LISTED = "subject_listed"
    SUBJECT_EXPORTED = "subject_exported"
    SUBJECT_READ = "subject_read"
    TEMPLATES_READ = "templates_read"
    TEMPLATE_ERASED = "template_erased"
    TEMPLATE_KEY_DELETED = "template_key_deleted"
    TEMPLATE_KEY_ROTATED = "template_key_rotated"
    TEMPLATE_KEY_WRAPPED = "template_key_wrapped"
    TENANT_CREATED = "tenant_created"
    TENANT_RENAMED = "tenant_renamed"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 - what happened, not a secret
    UNKNOWN = "unknown"
    UNLOCKED = "unlocked"
    VERIFIED = "verified"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_REPLAYED = "webhook_replayed"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105 - what happened, not a secret


class ActorKind(StrEnum):
    """`key`: an API key. `token`: an access token made from one. `session`: the client of a session, with its token.
    `visitor`: somebody on the page without a key. `command`: `manage.py`. `service`: the service by itself.
    `unknown`: as in AuditKind."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105 - a kind of actor, not a secret
    SESSION = "session"
    VISITOR = "visitor"
    COMMAND = "command"
    SERVICE = "service"
    UNKNOWN = "unknown"


def kind_of(word: str) -> AuditKind:
    return AuditKind(word) if word in set(AuditKind) else AuditKind.UNKNOWN


def actor_kind_of(word: str) -> ActorKind:
    return ActorKind(word) if word in set(ActorKind) else ActorKind.UNKNOWN
