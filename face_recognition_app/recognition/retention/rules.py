"""Retention rules: how long each kind of row is kept. docs/retention.md has the table.

Each rule is a plain function of the settings and the time, and selects the overdue rows.
"""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from audit.chain import Event, record
from audit.pruning import prune
from config.settings import Settings
from database import clock, write_ahead_log
from gallery import changes, pictures
from gallery.models import Feedback, Picture, Subject, TemplateChange, TemplateKey
from gallery.protection import reprotection
from jobs.models import DeadLetter, Job
from recognition.background.reports import files
from recognition.deciding import Deciding
from recognition.models import ENDED_STATUSES, FailedAttempts, KnownDevice, SeenFrame, Session, SessionProbe
from recognition.outcomes.models import OutcomeSummary
from recognition.retention.batches import apply_in_batches, delete
from recognition.retention.unseen import erase_unseen
from vocabulary.audit import AuditKind
from vocabulary.jobs import FINISHED
from webhooks import deliveries
from webhooks.models import Delivery

PAUSE_S = 0.05
"""Pause between two transactions: several times as long as one of them takes."""


def old_sessions(settings: Settings, now: datetime) -> QuerySet[Session]:
    """Overdue sessions. Their decisions are deleted with them."""
    return _ended_before(now - timedelta(days=settings.retain_sessions_days))


def old_metadata(settings: Settings, now: datetime) -> QuerySet[Session]:
    """Sessions with overdue metadata that is not yet empty."""
    return _ended_before(now - timedelta(days=settings.retain_metadata_days)).exclude(metadata={})


def stale_attempts(settings: Settings, now: datetime) -> QuerySet[FailedAttempts]:
    return FailedAttempts.across_tenants.filter(stale_at__lt=now)


def unused_devices(settings: Settings, now: datetime) -> QuerySet[KnownDevice]:
    return KnownDevice.across_tenants.filter(used_at__lt=now - timedelta(days=settings.retain_known_devices_days))


def old_frames(settings: Settings, now: datetime) -> QuerySet[SeenFrame]:
    return SeenFrame.across_tenants.filter(seen_at__lt=now - timedelta(days=settings.replay_memory_days))


def old_feedback(settings: Settings, now: datetime) -> QuerySet[Feedback]:
    return Feedback.across_tenants.filter(created_at__lt=now - timedelta(days=settings.retain_feedback_days))


def old_probes(settings: Settings, now: datetime) -> QuerySet[SessionProbe]:
    return SessionProbe.across_tenants.filter(kept_at__lt=now - timedelta(hours=settings.retain_probes_hours))


def old_pictures(settings: Settings, now: datetime) -> QuerySet[Picture]:
    return pictures.overdue(now)


def old_summaries(settings: Settings, now: datetime) -> QuerySet[OutcomeSummary]:
    """Summaries of days before those that are kept. They tell of nobody."""
    return OutcomeSummary.across_tenants.filter(day__lt=now.date() - timedelta(days=settings.retain_summaries_days))


def old_changes(settings: Settings, now: datetime) -> QuerySet[TemplateChange]:
    return changes.old(now)


def retired_secrets(settings: Settings, now: datetime) -> QuerySet[TemplateKey]:
    return reprotection.retired(settings, now)


def old_jobs(settings: Settings, now: datetime) -> QuerySet[Job]:
    """Overdue jobs that have ended. Their dead letters are deleted with them."""
    before = now - timedelta(days=settings.retain_jobs_days)
    return Job.across_tenants.filter(status__in=FINISHED, finished_at__lt=before)


def jobs_about_nobody(settings: Settings, now: datetime) -> QuerySet[Job]:
    """Jobs about people who were erased while the jobs were under way, a day after they ended."""
    old = Job.across_tenants.filter(status__in=FINISHED, finished_at__lt=now - timedelta(days=1))
    people = Subject.across_tenants.filter(tenant=OuterRef("tenant"), subject_id=OuterRef("subject_id"))
    return old.exclude(subject_id="").filter(~Exists(people))


def old_letters(settings: Settings, now: datetime) -> QuerySet[DeadLetter]:
    """Overdue messages that nobody could read, of no job."""
    return DeadLetter.objects.filter(at__lt=now - timedelta(days=settings.retain_jobs_days), job=None)


def old_deliveries(settings: Settings, now: datetime) -> QuerySet[Delivery]:
    return deliveries.old(settings, now)


def _ended_before(time: datetime) -> QuerySet[Session]:
    """Sessions ended before `time`, by their time limit: it has an index, and a session ends no later."""
    return Session.across_tenants.filter(status__in=ENDED_STATUSES, expires_at__lt=time)


def _forget_metadata(sessions: QuerySet[Any]) -> None:
    rows = Counter(sessions.values_list("tenant_id", flat=True))
    sessions.update(metadata={})
    _record("metadata", rows)


def _delete_and_record(what: str, tenant: str = "tenant_id") -> Callable[[QuerySet[Any]], None]:
    """Deletes rows of people, and records it. `tenant` names the column with the tenant's number."""

    def apply(rows: QuerySet[Any]) -> None:
        numbers = Counter(rows.values_list(tenant, flat=True))
        delete(rows)
        _record(what, numbers)

    return apply


def _record(what: str, rows: Counter[int | None]) -> None:
    """Record with each tenant how many of its rows went, in one order of tenants, so that two runs cannot deadlock.

    Rows of no tenant are the operator's.
    """
    for tenant_id in sorted(one for one in rows if one is not None):
        record(tenant_id, Event(AuditKind.RETENTION, None, {"what": what, "rows": rows[tenant_id]}))


@dataclass(frozen=True, slots=True)
class Rule:
    overdue: Callable[[Settings, datetime], QuerySet[Any]]
    apply: Callable[[QuerySet[Any]], object] = delete


RULES = (
    Rule(old_sessions, _delete_and_record("sessions")),
    Rule(old_metadata, _forget_metadata),
    Rule(stale_attempts),
    Rule(unused_devices, _delete_and_record("known_devices", "subject__tenant_id")),
    Rule(old_frames),
    Rule(old_feedback, _delete_and_record("feedback")),
    Rule(old_probes, _delete_and_record("probes")),
    Rule(old_pictures, _delete_and_record("pictures")),
    Rule(old_jobs, _delete_and_record("jobs")),
    Rule(jobs_about_nobody, _delete_and_record("jobs")),
    Rule(old_letters),
    Rule(old_changes),
    Rule(old_summaries),
    Rule(retired_secrets, reprotection.delete_secrets),
    Rule(old_deliveries, deliveries.forget_old),
)


def enforce(settings: Settings, now: datetime) -> int:
    """Apply every rule to a bounded number of rows. Returns their number."""
    pruned = prune(now - timedelta(days=settings.retain_audit_days))
    return pruned + sum(apply_in_batches(rule.overdue(settings, now), rule.apply, PAUSE_S) for rule in RULES)


def enforce_in_turn(deciding: Deciding) -> int | None:
    """Run `enforce` now. Returns None and does nothing while another process of this machine runs it."""
    path = deciding.settings.run_dir / "retention.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        now = clock.now()
        done = enforce(deciding.settings, now) + erase_unseen(deciding, now)
        files.delete_orphans(deciding.settings.data_dir)
        if done:
            write_ahead_log.empty()
    return done
