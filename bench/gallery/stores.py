"""What stores cost, for a process of its own that `work.begin` has set up."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.gallery import work
from bench.gallery.faces import TEMPLATES_OF_EACH, Crowd, Vectors

if TYPE_CHECKING:
    from gallery.matching import Gallery
    from tenants.models import Tenant

SMALL = 100
ENROLMENTS = 30
PROBES = 500
PAUSE_S = 0.02
"""Between searches of another tenant."""


@dataclass(frozen=True, slots=True)
class Times:
    """Wall-clock milliseconds, and the thread's CPU time, which says more on a machine that others use."""

    p50: float
    p95: float
    cpu_p50: float

    @classmethod
    def of(cls, calls: Sequence[Callable[[], object]]) -> Times:
        return cls.summed_up([_took(call) for call in calls])

    @classmethod
    def summed_up(cls, took: Sequence[tuple[float, float]]) -> Times:
        wall, cpu = np.array(took).T
        return cls(float(np.median(wall)), float(np.quantile(wall, 0.95)), float(np.median(cpu)))


@dataclass(frozen=True, slots=True)
class Searches:
    """`recall`: of the probes whose most similar template is above the decision's threshold, the share found."""

    name: str
    search: Times
    recall: float
    probes: int


@dataclass(frozen=True, slots=True)
class StoreCosts:
    """`other_*`: searches of another, small tenant by themselves, beside enrolments into the large gallery, and while
    its index is made anew. Memory in MiB: of the process by itself, and of the mapped files.
    """

    searches: Searches
    first_without_file_ms: float
    first_ms: float
    enrolment_small: Times
    enrolment_large: Times
    other_alone: Times
    other_beside_enrolments: Times
    other_beside_rebuild: Times
    rebuild_s: float
    private_mb: int
    mapped_mb: int

    @property
    def enrolment_ratio(self) -> float:
        return self.enrolment_large.p50 / self.enrolment_small.p50


@dataclass(frozen=True, slots=True)
class Costs:
    stores: Sequence[StoreCosts]
    libraries: Sequence[Searches]


def measure(templates: int, names: Sequence[str]) -> Costs:
    """Measure each store on the same rows, and libraries on the same vectors."""
    crowd = Crowd.of(templates, seed=1)
    people = [f"p{number // TEMPLATES_OF_EACH}" for number in range(templates)]
    large = work.tenant_with("large", people, crowd.templates)
    small = work.tenant_with("small", [f"s{n}" for n in range(SMALL)], Crowd.of(3 * SMALL, 2).people)
    other = work.tenant_with("other", [f"o{n}" for n in range(SMALL)], Crowd.of(3 * SMALL, 3).people)
    probes = _above_the_threshold(crowd, templates)
    expected = [people[row] for row in _nearest(crowd.templates, probes)]
    stores = [_store(name, large, small, other, probes, expected) for name in names]
    return Costs(stores, [*_libraries(crowd.templates, probes, people, expected)])


def _store(
    name: str, large: Tenant, small: Tenant, other: Tenant, probes: Vectors, expected: Sequence[str]
) -> StoreCosts:
    from config.service import service_settings

    settings = service_settings()
    shutil.rmtree(settings.data_dir / "index", ignore_errors=True)
    if name == "pgvector":  # A search projects for two seconds at most.
        first_without_file_ms, _ = _took(lambda: _project(large, small, other))
    else:
        first_without_file_ms, _ = _took(lambda: _find(_gallery(name), large, probes[0]))
    gallery = _gallery(name)
    first_ms, _ = _took(lambda: _find(gallery, large, probes[0]))
    searches = _searches(name, probes, expected, lambda probe: _find(gallery, large, probe))
    faces = Crowd.of(9 * ENROLMENTS, seed=10 + len(name)).people
    in_small = Times.of(_enrolments(small, gallery, name, faces[:ENROLMENTS]))
    in_large = Times.of(_enrolments(large, gallery, name, faces[ENROLMENTS : 2 * ENROLMENTS]))
    other_probe = faces[-1]

    def search_other() -> object:
        return gallery.identify(other, other_probe, work.TARGET_FPIR)

    with _beside(search_other) as alone:
        time.sleep(2.0)
    with _beside(search_other) as beside_enrolments:
        for enrolment in _enrolments(large, gallery, f"{name}-again", faces[2 * ENROLMENTS :]):
            enrolment()
    with _beside(search_other) as beside_rebuild:
        began = time.monotonic()
        gallery.store.rebuild(large, lambda done, total: None)
        rebuild_s = time.monotonic() - began
    gc.collect()
    mapped = gallery.store.statistics().memory_bytes >> 20
    return StoreCosts(
        searches,
        first_without_file_ms,
        first_ms,
        in_small,
        in_large,
        Times.summed_up(alone),
        Times.summed_up(beside_enrolments),
        Times.summed_up(beside_rebuild),
        rebuild_s,
        _private_mb(),
        mapped,
    )


def _libraries(
    templates: Vectors, probes: Vectors, people: Sequence[str], expected: Sequence[str]
) -> Iterator[Searches]:
    import faiss

    flat = faiss.IndexFlatIP(templates.shape[1])
    flat.add(templates)
    faiss.omp_set_num_threads(1)
    searches: dict[str, Callable[[Vectors], int]] = {
        "faiss flat": lambda probe: int(flat.search(probe[None], 1)[1][0, 0]),
        "numpy float32": lambda probe: int((templates @ probe).argmax()),
    }
    for name, nearest in searches.items():
        yield _searches(name, probes, expected, lambda probe, nearest=nearest: people[nearest(probe)])  # type: ignore[misc]


def _searches(name: str, probes: Vectors, expected: Sequence[str], search: Callable[[Vectors], str]) -> Searches:
    found: list[str] = []
    times = Times.of([lambda probe=probe: found.append(search(probe)) for probe in probes])  # type: ignore[misc]
    recall = np.mean([one == right for one, right in zip(found, expected, strict=True)])
    return Searches(name, times, float(recall), len(probes))


def _above_the_threshold(crowd: Crowd, templates: int) -> Vectors:
    """Probes whose most similar template is above the threshold of a search among all."""
    from core.features.embedder.profile import PINNED
    from gallery.thresholds import threshold_for

    probes = crowd.probes(PROBES, seed=5)
    best = (crowd.templates[_nearest(crowd.templates, probes)] * probes).sum(axis=1)
    return np.asarray(probes[best >= threshold_for(work.TARGET_FPIR, templates, PINNED)], np.float32)


def _nearest(templates: Vectors, probes: Vectors) -> list[int]:
    parts = (probes[begin : begin + 20] for begin in range(0, len(probes), 20))
    return [int(row) for part in parts for row in (templates @ part.T).argmax(axis=0)]


def _gallery(name: str) -> Gallery:
    from config.service import service_settings
    from gallery.matching import make_gallery

    return make_gallery(service_settings().model_copy(update={"gallery_store": name}), work.MODEL)


def _project(*tenants: Tenant) -> None:
    from gallery.stores.pgvector.schema import prepare_database

    prepare_database()
    for tenant in tenants:
        _gallery("pgvector").store.rebuild(tenant, lambda done, total: None)


def _find(gallery: Gallery, tenant: Tenant, probe: Vectors) -> str:
    found = gallery.identify(tenant, probe, work.TARGET_FPIR).candidates
    return found[0].subject_id if found else ""


def _enrolments(tenant: Tenant, gallery: Gallery, name: str, faces: Vectors) -> list[Callable[[], object]]:
    """One enrolment for each face, of somebody new."""
    return [
        lambda number=number, face=face: work.enrol(tenant, gallery, f"{name}-{number}", face)  # type: ignore[misc]
        for number, face in enumerate(faces)
    ]


def _took(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock, and of this thread's CPU time."""
    began, cpu = time.perf_counter(), time.thread_time()
    call()
    return 1_000 * (time.perf_counter() - began), 1_000 * (time.thread_time() - cpu)


@contextmanager
def _beside(call: Callable[[], object]) -> Iterator[list[tuple[float, float]]]:
    """Repeat `call` on another thread until the block ends; yields what each call took."""
    from database.calls import with_connection

    took: list[tuple[float, float]] = []
    ends = threading.Event()

    def again() -> None:
        while not took or not ends.is_set():
            took.append(_took(call))
            ends.wait(PAUSE_S)

    with ThreadPoolExecutor(1) as threads:
        calls = threads.submit(with_connection, again)
        try:
            yield took
        finally:
            ends.set()
            calls.result()


def _private_mb() -> int:
    from config.processes.memory import private_bytes

    return private_bytes(os.getpid()) >> 20
