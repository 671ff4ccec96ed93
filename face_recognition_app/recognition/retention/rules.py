"""How long each kind of row is kept: docs/retention.md has the table.

Each rule is a plain function of the settings and the time, and names the rows whose time is up.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from config.settings import Settings
from database import write_ahead_log
from gallery import changes
from gallery.models import TemplateChange
from recognition.deciding import Deciding
from recognition.models import ENDED_STATUSES, FailedAttempts, KnownDevice, SeenFrame, Session
from recognition.retention.batches import delete, sweep

PAUSE_S = 0.05
"""Between two transactions: several times as long as one of them takes."""


def old_sessions(settings: Settings, now: datetime) -> QuerySet[Session]:
    """Their decisions go with them."""
    return _ended_before(now - timedelta(days=settings.retain_sessions_days))


def old_metadata(settings: Settings, now: datetime) -> QuerySet[Session]:
    """The sessions that still have some."""
    return _ended_before(now - timedelta(days=settings.retain_metadata_days)).exclude(metadata={})


def stale_attempts(settings: Settings, now: datetime) -> QuerySet[FailedAttempts]:
    return FailedAttempts.objects.filter(stale_at__lt=now)


def unused_devices(settings: Settings, now: datetime) -> QuerySet[KnownDevice]:
    return KnownDevice.objects.filter(used_at__lt=now - timedelta(days=settings.retain_known_devices_days))


def old_frames(settings: Settings, now: datetime) -> QuerySet[SeenFrame]:
    return SeenFrame.objects.filter(seen_at__lt=now - timedelta(days=settings.replay_memory_days))


def old_changes(settings: Settings, now: datetime) -> QuerySet[TemplateChange]:
    return changes.old(now)


def _ended_before(time: datetime) -> QuerySet[Session]:
    """By the time limit, for which there is an index; a session ends at it at the latest."""
    return Session.objects.filter(status__in=ENDED_STATUSES, expires_at__lt=time)


def _forget_metadata(sessions: QuerySet[Any]) -> None:
    sessions.update(metadata={})


@dataclass(frozen=True, slots=True)
class Rule:
    overdue: Callable[[Settings, datetime], QuerySet[Any]]
    apply: Callable[[QuerySet[Any]], object] = delete


RULES = (
    Rule(old_sessions),
    Rule(old_metadata, _forget_metadata),
    Rule(stale_attempts),
    Rule(unused_devices),
    Rule(old_frames),
    Rule(old_changes),
)


def enforce(settings: Settings, now: datetime) -> int:
    """Apply every rule to a bounded number of rows; to how many it was."""
    return sum(sweep(rule.overdue(settings, now), rule.apply, PAUSE_S) for rule in RULES)


def enforce_in_turn(deciding: Deciding) -> int | None:
    """As `enforce`, now; None, and nothing done, while another process of this machine is at it."""
    path = deciding.settings.run_dir / "retention.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        done = enforce(deciding.settings, timezone.now())
        if done:
            write_ahead_log.empty()
    return done
