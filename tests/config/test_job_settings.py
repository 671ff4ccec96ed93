"""Variables of job workers: what they mean, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config.job_settings import load_job_settings
from config.settings import SettingsError
from vocabulary.jobs import JobType, Priority, WorkerMode

REDIS = {"REDIS_URL": "redis://localhost:6379"}


def test_nothing_needs_to_be_said() -> None:
    settings = load_job_settings({})
    assert (settings.mode, settings.slots, settings.is_embedded) == (WorkerMode.THIN, 5, True)
    assert (settings.priorities, settings.types) == (tuple(Priority), tuple(JobType))
    assert settings.has_scheduler
    assert (settings.scheduler_interval, settings.job_timeout, settings.max_retries) == (
        timedelta(seconds=1),
        timedelta(minutes=5),
        3,
    )
    assert (settings.log_level, settings.log_format, settings.log_console, settings.log_file) == (
        "info",
        "text",
        True,
        False,
    )
    assert (settings.log_file_max_mb, settings.log_file_backups) == (100, 5)


@pytest.mark.parametrize(
    ("variables", "mode", "slots"),
    [
        (REDIS, WorkerMode.DEFAULT, 10),
        ({**REDIS, "WORKER_MODE": ""}, WorkerMode.DEFAULT, 10),
        ({**REDIS, "WORKER_MODE": "thin"}, WorkerMode.THIN, 5),
        ({**REDIS, "WORKER_CONCURRENCY": "20"}, WorkerMode.DEFAULT, 20),
        ({**REDIS, "WORKER_MODE": "specialized", "WORKER_PRIORITIES": "high"}, WorkerMode.SPECIALIZED, 10),
        ({**REDIS, "WORKER_MODE": "scheduler-only"}, WorkerMode.SCHEDULER_ONLY, 0),
        ({"WORKER_MODE": "scheduler-only"}, WorkerMode.SCHEDULER_ONLY, 0),
    ],
)
def test_mode_and_slots(variables: dict[str, str], mode: WorkerMode, slots: int) -> None:
    settings = load_job_settings(variables)
    assert (settings.mode, settings.slots) == (mode, slots)


def test_priorities_are_in_their_order_and_types_are_those_that_are_named() -> None:
    settings = load_job_settings(
        {
            **REDIS,
            "WORKER_MODE": "job-specialized",
            "WORKER_JOB_TYPES": "retention, bulk_enroll",
            "WORKER_PRIORITIES": "low,high",
        }
    )
    assert settings.priorities == (Priority.HIGH, Priority.LOW)
    assert set(settings.types) == {JobType.RETENTION, JobType.BULK_ENROLL}


def test_a_scheduler_that_is_switched_off_stays_off() -> None:
    assert not load_job_settings({**REDIS, "ENABLE_SCHEDULER": "false"}).has_scheduler


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100ms", timedelta(milliseconds=100)), ("1m", timedelta(minutes=1)), ("2", timedelta(seconds=2))],
)
def test_intervals(text: str, expected: timedelta) -> None:
    assert load_job_settings({"SCHEDULER_INTERVAL": text}).scheduler_interval == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SCHEDULER_INTERVAL": "50ms"}, "SCHEDULER_INTERVAL"),
        ({"SCHEDULER_INTERVAL": "2m"}, "SCHEDULER_INTERVAL"),
        ({"SCHEDULER_INTERVAL": "often"}, "SCHEDULER_INTERVAL"),
        ({"JOB_TIMEOUT": "five minutes"}, "JOB_TIMEOUT"),
        ({"JOB_TIMEOUT": "0s"}, "JOB_TIMEOUT"),
        ({"MAX_RETRIES": "-1"}, "MAX_RETRIES"),
        ({"WORKER_CONCURRENCY": "0"}, "WORKER_CONCURRENCY"),
        ({"WORKER_CONCURRENCY": "1001"}, "WORKER_CONCURRENCY"),
        ({"WORKER_MODE": "fat"}, "WORKER_MODE"),
        ({**REDIS, "WORKER_PRIORITIES": "high,urgent"}, "urgent is not among high, normal, low"),
        ({**REDIS, "WORKER_MODE": "job-specialized", "WORKER_JOB_TYPES": "bulk_enrol"}, "bulk_enrol is not among"),
        ({**REDIS, "WORKER_JOB_TYPES": "noop"}, "WORKER_JOB_TYPES is for WORKER_MODE=job-specialized, not for default"),
        ({**REDIS, "WORKER_MODE": "job-specialized"}, "needs WORKER_JOB_TYPES"),
        ({**REDIS, "WORKER_MODE": "specialized"}, "needs WORKER_PRIORITIES"),
        ({"WORKER_PRIORITIES": "high"}, "thin takes every priority"),
        ({"WORKER_MODE": "scheduler-only", "ENABLE_SCHEDULER": "false"}, "leave nothing to do"),
        ({"WORKER_MODE": "default"}, "needs REDIS_URL"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        ({"LOG_FILE_MAX_SIZE_MB": "0"}, "LOG_FILE_MAX_SIZE_MB"),
        ({"LOG_FILE_MAX_BACKUPS": "none"}, "LOG_FILE_MAX_BACKUPS"),
        ({"ENABLE_SCHEDULER": "perhaps"}, "ENABLE_SCHEDULER"),
    ],
)
def test_what_is_wrong_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_job_settings(variables)
