"""The work that `bench.gallery` measures, for its own processes; no Django module is imported before `begin`."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
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
ROUNDS = 15
SMALL = 3
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
class Searches:
    """Milliseconds: median searches, and the longest search of a small gallery beside each kind of work."""

    first_ms: float
    """The first search, which loads the gallery."""
    ordinary_ms: float
    after_enrolment_ms: float
    enrolment_ms: float
    other_ordinary_ms: float
    other_load_ms: float
    other_enrolment_ms: float


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


def measure_searches(templates: int) -> Searches:
    from config.service import service_settings
    from gallery.matching import make_gallery

    vectors = _faces(templates, seed=1)
    large, small = _tenant("large", vectors), _tenant("small", _faces(SMALL, seed=2))
    gallery = make_gallery(service_settings(), MODEL)
    probe, probe_of_small = vectors[0], _faces(1, seed=3)[0]
    new = _faces(2 * ROUNDS, seed=4)

    def search() -> None:
        gallery.identify(large, probe, TARGET_FPIR)

    def search_small() -> None:
        gallery.identify(small, probe_of_small, TARGET_FPIR)

    search_small()
    with _beside(search_small) as beside_load:
        first_ms = _took_ms(search)
    ordinary, enrolments, after = [], [], []
    for number, vector in enumerate(new[:ROUNDS]):
        ordinary.append(_took_ms(search))
        enrolments.append(_took_ms(partial(_enrol, large, gallery, f"new-{number}", vector)))
        after.append(_took_ms(search))
    with _beside(search_small) as beside_searches:
        for _ in range(2 * ROUNDS):
            search()
    with _beside(search_small) as beside_enrolments:
        for number, vector in enumerate(new[ROUNDS:], ROUNDS):
            _enrol(large, gallery, f"new-{number}", vector)
            search()
    return Searches(
        first_ms,
        median(ordinary),
        median(after),
        median(enrolments),
        max(beside_searches),
        max(beside_load),
        max(beside_enrolments),
    )


def decide(worker: int, tenant_name: str) -> Span:
    """Decide all of this worker's sessions, once every worker has created its own."""
    from database.calls import with_connection
    from recognition.sessions import lifecycle
    from wire.errors import Unavailable

    deciding, tenant = _deciding(), _shared_tenant(tenant_name)
    names = [f"worker-{worker}-{number}" for number in range(DECISIONS)]
    faces = _faces(DECISIONS, seed=10 + worker)
    _enrol_all(tenant, names, faces)
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


def _tenant(name: str, vectors: npt.NDArray[np.float32]) -> Tenant:
    from tenants.models import Tenant

    tenant = Tenant.objects.create(name=name)
    _enrol_all(tenant, [f"{name}-{number}" for number in range(len(vectors))], vectors)
    return tenant


def _enrol_all(tenant: Tenant, names: list[str], vectors: npt.NDArray[np.float32]) -> None:
    """Store one template of each subject, as many earlier enrolments would have."""
    from gallery.models import Subject, Template

    rows = [Subject(tenant=tenant, subject_id=name) for name in names]
    subjects = Subject.objects.bulk_create(rows, batch_size=BATCH)
    templates = (
        Template(tenant=tenant, subject=subject, model_id=MODEL, vector=vector.tobytes(), quality=1.0)
        for subject, vector in zip(subjects, vectors, strict=True)
    )
    Template.objects.bulk_create(templates, batch_size=BATCH)


def _enrol(tenant: Tenant, gallery: Gallery, name: str, vector: npt.NDArray[np.float32]) -> None:
    from gallery.people import EnrollmentRules, Sample, enroll

    rules = EnrollmentRules(duplicate_check=True, target_fpir=TARGET_FPIR, target_fmr=TARGET_FMR)
    enroll(tenant, name, [Sample(vector, 1.0)], gallery, rules)


def _faces(number: int, seed: int) -> npt.NDArray[np.float32]:
    found = np.random.default_rng(seed).standard_normal((number, DIMENSION), np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def _took_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _beside(call: Callable[[], object]) -> Iterator[list[float]]:
    """Repeat `call` on another thread until the block ends; yields the milliseconds of each call."""
    from database.calls import with_connection

    took: list[float] = []
    ends = threading.Event()

    def again() -> None:
        while not ends.is_set():
            took.append(_took_ms(call))
            time.sleep(0.001)

    with ThreadPoolExecutor(1) as threads:
        calls = threads.submit(with_connection, again)
        try:
            yield took
        finally:
            ends.set()
            calls.result()
