"""The work that `bench.gallery` measures, for its own processes; no Django module is imported before `begin`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gallery.matching import Gallery
    from recognition.deciding import Deciding
    from recognition.sessions.lease import Lease
    from recognition.sessions.state import Outcome
    from tenants.models import Tenant

DIMENSION = 512
MODEL = "bench"
BATCH = 2_000
THREADS = 4
"""Concurrent decisions of one worker: the number of the service's database threads."""
BARRIER_TIMEOUT_S = 60.0
TRIES = 100
"""Attempts of a decision: SQLite refuses a writer after 5 s of waiting; a session tries again, too."""
DECISIONS = 120
"""Decisions of each worker."""
FRAMES = 40
TARGET_FPIR, TARGET_FMR = 1e-3, 1e-4

_barrier: Any = None


@dataclass(frozen=True, slots=True)
class Span:
    """Begin and end, in seconds of the machine's monotonic clock."""

    began: float
    ended: float


def begin(barrier: Any, lock: Any) -> None:
    """Set Django up; the first process migrates the database while the others wait for it."""
    global _barrier
    import django
    from django.core.management import call_command

    django.setup()
    _barrier = barrier
    with lock:
        _make_database_file()
        call_command("migrate", verbosity=0, interactive=False)


def _make_database_file() -> None:
    from pathlib import Path

    from django.db import connection

    if connection.vendor == "sqlite":
        Path(connection.settings_dict["NAME"]).touch(0o600)


def decide(worker: int, tenant_name: str) -> Span:
    """Decide all of this worker's sessions, once every worker has created its own."""
    from database.calls import with_connection
    from recognition.sessions import lifecycle
    from wire.errors import Unavailable

    deciding, tenant = _deciding(), _shared_tenant(tenant_name)
    names = [f"worker-{worker}-{number}" for number in range(DECISIONS)]
    faces = _faces(DECISIONS, seed=10 + worker)
    _enrol_all(tenant, names, faces, MODEL)
    ready = [_begun(deciding, tenant, name, vector) for name, vector in zip(names, faces, strict=True)]

    def decide_one(begun: tuple[Lease, Outcome]) -> bool:
        for _ in range(TRIES):
            with suppress(Unavailable):
                return with_connection(lifecycle.decide, deciding, *begun).success
        raise AssertionError("the database lets nobody write")

    with ThreadPoolExecutor(THREADS) as threads:
        _barrier.wait(BARRIER_TIMEOUT_S)
        began = time.monotonic()
        done = list(threads.map(decide_one, ready))
        ended = time.monotonic()
    assert all(done)
    return Span(began, ended)


def _begun(deciding: Deciding, tenant: Tenant, name: str, vector: npt.NDArray[np.float32]) -> tuple[Lease, Outcome]:
    """Create a session in which the subject was matched, and its successful outcome."""
    from core.liveness.policy import Policy
    from recognition.sessions import lifecycle
    from recognition.sessions.state import Match, Outcome
    from recognition.sessions.terms import LivenessRequest
    from vocabulary.sessions import SessionKind

    request = lifecycle.SessionRequest(
        SessionKind.AUTHENTICATION, name, LivenessRequest(Policy.ACTIVE), 1, f"phone of {name}", {}
    )
    connection = lifecycle.connect(
        deciding, lifecycle.create(deciding, tenant, request, None).session, host="127.0.0.1"
    )
    match = Match(name, 1.0, 0.5)
    connection.flow.match, connection.flow.matched_probe = match, vector.tobytes()
    connection.flow.liveness.continuity.digests = [f"{secrets.randbits(60):015x}0" for _ in range(FRAMES)]
    return connection, Outcome(True, None, name, match)


def _deciding() -> Deciding:
    from config.service import service_settings
    from gallery.matching import make_gallery
    from recognition.deciding import Deciding

    return replace(Deciding.load(service_settings()), gallery=make_gallery(service_settings(), MODEL))


def _shared_tenant(name: str) -> Tenant:
    from tenants.models import Tenant

    tenant, _ = Tenant.objects.get_or_create(name=name)
    return tenant


def tenant_with(name: str, names: Sequence[str], vectors: npt.NDArray[np.float32], model_id: str = MODEL) -> Tenant:
    """A new tenant with these templates, as many earlier enrolments would have stored them."""
    from tenants.models import Tenant

    tenant = Tenant.objects.create(name=name)
    _enrol_all(tenant, names, vectors, model_id)
    return tenant


def _enrol_all(tenant: Tenant, names: Sequence[str], vectors: npt.NDArray[np.float32], model_id: str) -> None:
    from config.service import service_settings
    from gallery.matching import make_gallery
    from gallery.models import Subject, Template

    protection = make_gallery(service_settings(), model_id).protection
    rows = [Subject(tenant=tenant, subject_id=name) for name in dict.fromkeys(names)]
    subjects = {one.subject_id: one for one in Subject.objects.bulk_create(rows, batch_size=BATCH)}
    for begin in range(0, len(names), BATCH):
        protected = protection.protect(vectors[begin : begin + BATCH], tenant)
        Template.objects.bulk_create(
            Template(tenant=tenant, subject=subjects[name], model_id=model_id, vector=vector, quality=1.0)
            for name, vector in zip(names[begin : begin + BATCH], protected, strict=True)
        )


def enrol(tenant: Tenant, gallery: Gallery, name: str, vector: npt.NDArray[np.float32]) -> None:
    from django.db import transaction

    from gallery.people import EnrollmentRules, Sample, enroll, lock_subject

    rules = EnrollmentRules(duplicate_check=True, target_fpir=TARGET_FPIR, target_fmr=TARGET_FMR)
    gallery.store.refresh(tenant)
    with transaction.atomic():
        enroll(lock_subject(tenant, name), [Sample(vector, 1.0)], gallery, rules)


def _faces(number: int, seed: int) -> npt.NDArray[np.float32]:
    found = np.random.default_rng(seed).standard_normal((number, DIMENSION), np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)
