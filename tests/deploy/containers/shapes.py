"""The shapes of background work, which Compose and Kubernetes have alike, and the settings of their containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config.job_settings import JobSettings, load_job_settings
from config.settings import Settings, load
from server.graceful_exit import SHUTDOWN_S
from vocabulary.jobs import FOR_TESTS, JobType, Priority, WorkerMode

SHAPES = ("thin", "default", "specialized", "job-specialized")
SLOTS = {
    "thin": 5,
    "default": 3 * 20,
    "specialized": 3 * 50 + 2 * 30 + 10,
    "job-specialized": 2 * 10 + 3 * 50 + 5 + 2 * 20,
}
"""Jobs at once that a shape begins with."""
OF_UVICORN = frozenset({"FORWARDED_ALLOW_IPS"})
SECRETS = {
    "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7",
    "DATABASE_URL": "postgresql://face:abc@postgres:5432/face",
    "REDIS_URL": "redis://:abc@redis:6379/0",
}
IMAGE = {"APP_ENV": "production", "FACE_DATA_DIR": "/data", "FACE_RUN_DIR": "/run/face", "FACE_MODEL_DIR": "/models"}


SLOT_MB = 60
"""Memory of a process of a worker that has done nothing (PSS): 60 MB each of 33, and 61 of 11."""


@dataclass(frozen=True, slots=True)
class Group:
    """Alike job workers: so many containers with these settings."""

    name: str
    replicas: int
    settings: JobSettings


def settings_of(environment: Mapping[str, str]) -> tuple[Settings, JobSettings]:
    """What a container reads of its variables. Fails for one that nothing reads, and for a wrong value."""
    known = {field.alias for model in (Settings, JobSettings) for field in model.model_fields.values()}
    assert set(environment) <= known | OF_UVICORN
    whole = {**IMAGE, **environment}
    return load(whole), load_job_settings(whole)


def assert_shape(shape: str, groups: Iterable[Group]) -> None:
    """As many slots as the shape has, every priority and type taken, and one place where schedulers are."""
    found = list(groups)
    assert sum(group.replicas * group.settings.slots for group in found) == SLOTS[shape]
    for priority in Priority:
        assert any(priority in group.settings.priorities for group in found if group.settings.slots), priority
    for type_ in set(JobType) - FOR_TESTS:
        assert any(type_ in group.settings.types for group in found if group.settings.slots), type_
    if shape == "job-specialized":
        placed = {one for group in found if group.settings.given_types for one in group.settings.types}
        assert placed == set(JobType) - FOR_TESTS, "each type has a place, beside the workers that take all"
        assert any(group.settings.mode is WorkerMode.DEFAULT for group in found)
    assert len([group for group in found if group.settings.has_scheduler]) == 1


def longest_end_s(settings: Settings) -> float:
    """How long the service takes at most to end, as gunicorn_config has it."""
    return settings.drain_s + SHUTDOWN_S + 10
