"""Settings of sessions: how long they may take, and how often they may fail."""

from __future__ import annotations

from pydantic import Field

from config.groups.values import SettingsGroup


class SessionSettings(SettingsGroup):
    enrollment_samples: int = Field(
        3, alias="FACE_ENROLLMENT_SAMPLES", ge=1, le=10, description="Good samples of an enrolment by default."
    )
    enrollment_time_limit_s: float = Field(
        60.0, alias="FACE_ENROLLMENT_TIME_LIMIT_S", gt=0, description="Enrolment, from the first connection."
    )
    recognition_time_limit_s: float = Field(
        30.0, alias="FACE_RECOGNITION_TIME_LIMIT_S", gt=0, description="Other sessions, likewise."
    )
    token_ttl_s: float = Field(
        600.0, alias="FACE_TOKEN_TTL_S", gt=0, description="Time in which a session must get its first connection."
    )
    no_match_frames: int = Field(
        8, alias="FACE_NO_MATCH_FRAMES", ge=1, le=100, description="Good frames without a match until no_match."
    )
    attempts_limit: int = Field(
        5, alias="FACE_ATTEMPTS_LIMIT", ge=1, le=1_000, description="Failures of one subject or device that lock it."
    )
    attempts_address_limit: int | None = Field(
        None,
        alias="FACE_ATTEMPTS_ADDRESS_LIMIT",
        ge=1,
        le=10_000,
        description="Failures from one client address that lock it; unset: four times FACE_ATTEMPTS_LIMIT.",
    )
    attempts_window_s: float = Field(
        180.0, alias="FACE_ATTEMPTS_WINDOW_S", gt=0, le=86_400, description="Window in which failures count together."
    )
    attempts_lock_s: float = Field(
        1_800.0,
        alias="FACE_ATTEMPTS_LOCK_S",
        gt=0,
        le=2_592_000,
        description="How long the lock of a device or address lasts.",
    )
    attempts_first_wait_s: float = Field(
        2.0,
        alias="FACE_ATTEMPTS_FIRST_WAIT_S",
        ge=0,
        le=60,
        description="Wait before the next session once half of a limit is used up; doubles to 60 s. 0: none.",
    )
    identification_failures_per_min: int = Field(
        60,
        alias="FACE_IDENTIFICATION_FAILURES_PER_MIN",
        ge=1,
        le=10_000,
        description="Failed identifications of one tenant, those on known devices not counted; more are refused.",
    )
