"""Counters of failed sessions, in the database for all workers. Many failures cause waits, then a lock.

A failure counts against its place before it counts against the named subject. On a device that is known for the
subject it counts for that device alone, and nothing but that device's counter holds the subject back there.

Counting and clearing lock the counters in the order of their kinds, so that failures on one key come one after the
other. A success only reads them: successes at one address or of one tenant do not wait for each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from audit.chain import Event, record
from config.durations import milliseconds_until
from config.settings import Settings
from database import clock
from gallery.records.references import record_about
from recognition.models import AttemptKind, FailedAttempts
from recognition.sessions import known_devices
from recognition.sessions.refusals import AttemptsExceeded
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.sessions import Place
from vocabulary.webhooks import EventType
from webhooks import outbox
from webhooks.outbox import Value

FULL_WEIGHT = 1.0
GIVEN_UP_WEIGHT = 0.25
"""Weight of leaving after the challenge is told. At no cost, one could draw again until it suits a recording. It leads
to waits, never to a lock."""
SESSION_ENDING = frozenset({AttemptKind.DEVICE, AttemptKind.SUBJECT, AttemptKind.UNNAMED})
"""Kinds whose lock ends a session that connects. The others only delay its first connection and leave the session."""
SOURCES_PER_SUBJECT = 2
"""Factor on the limit of one device: after that many failures a subject is locked on all unknown devices."""
PEOPLE_PER_ADDRESS = 4
"""Factor on the limit of one device for an address, which many people may share."""
LONGEST_WAIT_S = 60.0
STRANGERS_COUNT = frozenset({AttemptKind.SUBJECT, AttemptKind.UNNAMED})
"""Kinds that anybody raises who names the subject: they slow the subject down, and keep nobody out for longer."""
_DOUBLINGS = 10

PLACES: dict[AttemptKind, Place] = {
    AttemptKind.DEVICE: "device",
    AttemptKind.SUBJECT: "unknown_devices",
    AttemptKind.UNNAMED: "unnamed_device",
}
"""Name in the API of the place where a lock of each kind holds a subject back."""

CounterKey = tuple[AttemptKind, str]


@dataclass(frozen=True, slots=True)
class LockoutKey:
    """Subject and place of a session; without `subject_id` the session is an identification.

    `address` is a digest of the client's address (recognition.sessions.addresses), empty before a client connects.
    """

    tenant: Tenant
    subject_id: str
    device_id: str
    address: str = ""

    @property
    def device(self) -> str:
        return known_devices.device_key(self.device_id)

    @property
    def is_on_known_device(self) -> bool:
        """Whether the session's device is known for its subject; for an identification, for any subject."""
        return known_devices.is_known(self.tenant, self.subject_id, self.device)


@dataclass(frozen=True, slots=True)
class Rule:
    """Limits of one kind of counter. Without `lock_s` a lock lasts until the window has room again."""

    limit: float
    window_s: float
    lock_s: float | None
    first_wait_s: float

    def wait_s(self, total: float) -> float:
        """Wait before the next session: none below half of the limit or after one failure, then doubling."""
        steps = math.floor(total) - max(2, math.ceil(self.limit / 2))
        return 0.0 if steps < 0 else min(LONGEST_WAIT_S, self.first_wait_s * 2 ** min(steps, _DOUBLINGS))


def rule_of(settings: Settings, kind: AttemptKind) -> Rule:
    if kind is AttemptKind.TENANT:
        return Rule(settings.identification_failures_per_min, 60.0, None, 0.0)
    limit, lock_s = settings.attempts_limit, settings.attempts_lock_s
    if kind is AttemptKind.ADDRESS:
        limit = settings.attempts_address_limit or limit * PEOPLE_PER_ADDRESS
    elif kind is AttemptKind.SUBJECT:
        limit *= SOURCES_PER_SUBJECT
    if kind in STRANGERS_COUNT:
        lock_s = min(lock_s, LONGEST_WAIT_S)
    return Rule(limit, settings.attempts_window_s, lock_s, settings.attempts_first_wait_s)


def locked_until(key: LockoutKey, kinds: Iterable[AttemptKind] = AttemptKind) -> datetime | None:
    """When the last lock on the key ends; None without a lock."""
    locks = _counters(key).filter(kind__in=list(kinds), locked_until__gt=clock.in_query()).order_by("-locked_until")
    return locks.values_list("locked_until", flat=True).first()


def ensure_free(key: LockoutKey) -> None:
    """Raises AttemptsExceeded while the key is locked or has to wait."""
    now = clock.now()
    times = _counters(key).values_list("locked_until", "waits_until")
    until = max((at for pair in times for at in pair if at is not None), default=now)
    if until > now:
        left_s = math.ceil((until - now).total_seconds())
        raise AttemptsExceeded(f"too many failed attempts: wait {left_s} s", {"retry_after_s": left_s}, 1000 * left_s)


def attempts_left(settings: Settings, key: LockoutKey) -> int | None:
    """Failed attempts until one locks the key; 0 while a lock lasts, None where no attempt locks."""
    now = clock.now()
    keys: list[CounterKey] = [(kind, name) for kind, name in _counter_keys(key) if kind is not AttemptKind.TENANT]
    counters = {(AttemptKind(counter.kind), counter.key): counter for counter in _of(key.tenant, keys)}
    left = [_left(rule_of(settings, kind), counters.get((kind, name)), now) for kind, name in keys]
    return math.ceil(min(left)) if left else None


def _left(rule: Rule, counter: FailedAttempts | None, now: datetime) -> float:
    if counter is None:
        return rule.limit
    if counter.locked_until is not None and counter.locked_until > now:
        return 0.0
    return rule.limit - _attempts(_in_window(counter.failed_at, rule, now))


def count_failure(settings: Settings, key: LockoutKey, weight: float) -> datetime | None:
    """Raise every counter of `key`, and record a lock. If one is locked by now, raise none and return the lock's end.

    A `weight` of 0 changes nothing.
    """
    if not weight:
        return None
    now = clock.now()
    counters = [_locked_counter(key.tenant, counter_key, now) for counter_key in _counter_keys(key)]
    locks = [counter.locked_until for counter in counters if counter.locked_until and counter.locked_until > now]
    if locks:
        return max(locks)
    for counter in counters:
        _add(counter, rule_of(settings, AttemptKind(counter.kind)), weight, now)
        counter.save()
    locked = sorted(counter.kind for counter in counters if counter.locked_until)
    if locked:
        record_about(key.tenant, key.subject_id, AuditKind.LOCKED, places=locked)
        _note(EventType.LOCK_RAISED, key.tenant, key.subject_id, locked)
    return None


def _locked_counter(tenant: Tenant, key: CounterKey, now: datetime) -> FailedAttempts:
    """The counter, made if new, locked until the transaction ends."""
    kind, name = key
    counter, _ = FailedAttempts.objects.select_for_update().get_or_create(
        tenant=tenant, kind=kind, key=name, defaults={"stale_at": now}
    )
    return counter


def clear_unnamed_device(key: LockoutKey) -> None:
    """Clear the subject's counter of unnamed devices after a success without a named device.

    No other counter is cleared. An attacker could reset the device counter by logging in as himself and go on with
    other people's accounts, and each success of a subject would give strangers elsewhere their attempts anew.
    """
    if not key.device:
        _of(key.tenant, [(AttemptKind.UNNAMED, key.subject_id)]).delete()


def forget_subject(tenant: Tenant, subject_id: str) -> int:
    """Delete the counters of a subject that is erased; returns their number. The caller records it."""
    return _lift(tenant, _subject_keys(subject_id))


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock or wait on a subject: on a named device, on all unknown devices, or on sessions that name no device."""

    kind: AttemptKind
    device: str
    retry_after_ms: int


def locks_of(tenant: Tenant, subject_id: str) -> list[Lock]:
    """Every lock and wait in force on the subject, and on the devices that are known for it."""
    counters = _of(tenant, [*_subject_keys(subject_id), *_known_device_keys(tenant, subject_id)])
    found = [(counter, _held_until(counter)) for counter in counters.order_by("kind", "key")]
    now = clock.now()
    return [
        Lock(AttemptKind(counter.kind), _device_of(counter), milliseconds_until(until, now))
        for counter, until in found
        if until is not None and until > now
    ]


def _device_of(counter: FailedAttempts) -> str:
    return counter.key if counter.kind == AttemptKind.DEVICE else ""


def lift_subject(tenant: Tenant, subject_id: str) -> int:
    """Forget the failures of a subject and of its known devices. Returns the number of counters deleted."""
    with transaction.atomic():
        lifted = _lift(tenant, [*_subject_keys(subject_id), *_known_device_keys(tenant, subject_id)])
        if lifted:
            record_about(tenant, subject_id, AuditKind.UNLOCKED, places=["subject"])
            _note(EventType.LOCK_REMOVED, tenant, subject_id, [AttemptKind.SUBJECT.value])
    return lifted


def lift_device(tenant: Tenant, device_id: str) -> int:
    return _lift_place(tenant, AttemptKind.DEVICE, known_devices.device_key(device_id))


def lift_address(tenant: Tenant, address: str) -> int:
    """Forget the failures of an address; `address` is its digest."""
    return _lift_place(tenant, AttemptKind.ADDRESS, address)


def _lift_place(tenant: Tenant, kind: AttemptKind, key: str) -> int:
    """Forget the failures of a place, and record it without saying which place it is."""
    with transaction.atomic():
        lifted = _lift(tenant, [(kind, key)])
        if lifted:
            record(tenant.pk, Event(AuditKind.UNLOCKED, None, {"places": [kind.value]}))
            _note(EventType.LOCK_REMOVED, tenant, "", [kind.value])
    return lifted


def _note(type_: EventType, tenant: Tenant, subject_id: str, places: list[str]) -> None:
    """Note what became of locks, in the transaction that does so; of a place only what kind it is."""
    told: dict[str, Value] = {"subject_id": subject_id or None, "places": places}
    outbox.note(tenant, outbox.Event(type_, told, subject_id))


def _lift(tenant: Tenant, keys: list[CounterKey]) -> int:
    with transaction.atomic():
        held = list(_of(tenant, keys).select_for_update().order_by("kind", "key"))
        lifted, _ = FailedAttempts.objects.filter(tenant=tenant, pk__in=[counter.pk for counter in held]).delete()
    return int(lifted)


def _counter_keys(key: LockoutKey) -> list[CounterKey]:
    """Keys of the counters that a failure raises, in locking order. The same counters may hold the key back."""
    named: list[CounterKey] = [(AttemptKind.DEVICE, key.device)] if key.device else []
    if key.is_on_known_device:
        return named
    found = [*named, *([(AttemptKind.ADDRESS, key.address)] if key.address else [])]
    if not key.subject_id:
        return [*found, (AttemptKind.TENANT, "")]
    found.append((AttemptKind.SUBJECT, key.subject_id))
    return found if key.device else [*found, (AttemptKind.UNNAMED, key.subject_id)]


def _subject_keys(subject_id: str) -> list[CounterKey]:
    return [(AttemptKind.SUBJECT, subject_id), (AttemptKind.UNNAMED, subject_id)]


def _known_device_keys(tenant: Tenant, subject_id: str) -> list[CounterKey]:
    return [(AttemptKind.DEVICE, device) for device in known_devices.devices_of(tenant, subject_id)]


def _counters(key: LockoutKey) -> QuerySet[FailedAttempts]:
    return _of(key.tenant, _counter_keys(key))


def _of(tenant: Tenant, keys: list[CounterKey]) -> QuerySet[FailedAttempts]:
    chosen = Q(pk__in=[])
    for kind, key in keys:
        chosen |= Q(kind=kind, key=key)
    return FailedAttempts.objects.filter(chosen, tenant=tenant)


def _held_until(counter: FailedAttempts) -> datetime | None:
    return max((at for at in (counter.locked_until, counter.waits_until) if at is not None), default=None)


def _in_window(failed_at: list[list[float]], rule: Rule, now: datetime) -> list[list[float]]:
    window_began = now.timestamp() - rule.window_s
    return [event for event in failed_at if event[0] > window_began]


def _attempts(failed_at: list[list[float]]) -> float:
    """Sum of the weights of those that were attempts."""
    return sum(weight for _, weight in failed_at if weight >= FULL_WEIGHT)


def _add(counter: FailedAttempts, rule: Rule, weight: float, now: datetime) -> None:
    counter.failed_at = [*_in_window(counter.failed_at, rule, now), [now.timestamp(), weight]]
    total = sum(weighed for _, weighed in counter.failed_at)
    counter.locked_until = counter.waits_until = None
    counter.stale_at = now + timedelta(seconds=rule.window_s)
    if weight >= FULL_WEIGHT and _attempts(counter.failed_at) >= rule.limit:
        counter.locked_until = _end_of_lock(counter, rule, now)
        counter.stale_at = max(counter.stale_at, counter.locked_until)
        counter.failed_at = counter.failed_at if rule.lock_s is None else []
    elif rule.wait_s(total):
        counter.waits_until = now + timedelta(seconds=rule.wait_s(total))
        counter.stale_at = max(counter.stale_at, counter.waits_until)


def _end_of_lock(counter: FailedAttempts, rule: Rule, now: datetime) -> datetime:
    if rule.lock_s is not None:
        return now + timedelta(seconds=rule.lock_s)
    oldest_at, _ = counter.failed_at[0]
    return datetime.fromtimestamp(oldest_at + rule.window_s, UTC)
