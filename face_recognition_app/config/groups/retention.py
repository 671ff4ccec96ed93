"""Settings of how long what is stored is kept."""

from __future__ import annotations

from pydantic import Field

from config.groups.values import SettingsGroup


class RetentionSettings(SettingsGroup):
    retain_sessions_days: int = Field(
        90, alias="FACE_RETAIN_SESSIONS_DAYS", ge=1, le=3_650, description="Sessions that ended, and their decisions."
    )
    retain_metadata_days: int = Field(
        30,
        alias="FACE_RETAIN_METADATA_DAYS",
        ge=1,
        le=3_650,
        description="Metadata that a backend stored with such a session.",
    )
    retain_known_devices_days: int = Field(
        180,
        alias="FACE_RETAIN_KNOWN_DEVICES_DAYS",
        ge=1,
        le=3_650,
        description="Devices that a subject succeeded on, from the last time.",
    )
    retain_feedback_days: int = Field(
        365,
        alias="FACE_RETAIN_FEEDBACK_DAYS",
        ge=1,
        le=3_650,
        description="Embeddings of pictures of which it was said that they do not show a subject.",
    )
    retain_probes_hours: int = Field(
        24,
        alias="FACE_RETAIN_PROBES_HOURS",
        ge=0,
        le=720,
        description="The embedding by which a session matched, for feedback by its id. 0 keeps none.",
    )
    retain_jobs_days: int = Field(
        30,
        alias="FACE_RETAIN_JOBS_DAYS",
        ge=1,
        le=3_650,
        description="Background jobs that have ended, with their results and dead letters.",
    )
    retain_audit_days: int = Field(
        730,
        alias="FACE_RETAIN_AUDIT_DAYS",
        ge=1,
        le=3_650,
        description="Entries of the audit trail.",
    )
    retain_summaries_days: int = Field(
        400,
        alias="FACE_RETAIN_SUMMARIES_DAYS",
        ge=1,
        le=3_650,
        description="Nightly numbers of what sessions came to, which tell of nobody.",
    )
    retain_deliveries_days: int = Field(
        30,
        alias="FACE_RETAIN_DELIVERIES_DAYS",
        ge=1,
        le=3_650,
        description="What was sent to webhooks, or was to be.",
    )
    replay_memory_days: int = Field(
        30,
        alias="FACE_REPLAY_MEMORY_DAYS",
        ge=1,
        le=3_650,
        description="How long frames are remembered, to detect replays.",
    )
