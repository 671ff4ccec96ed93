"""Searches and enrolments of the store in PostgreSQL, one by one and through its graph.

    python -m bench.gallery.pgvector [--templates 100000] [--json]

Starts a server of its own. Embeddings are random, the hardest case for a graph; a probe's similarity to its person is
0.6, above the threshold for a search among 100,000.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.cli import report_parser, show
from bench.gallery import work
from bench.load.tables import number, table
from testkit.servers import postgresql

if TYPE_CHECKING:
    from tenants.models import Tenant

SIMILARITY = 0.6
PROBES = 300
ENROLMENTS = 40
SMALL = 100


@dataclass(frozen=True, slots=True)
class Searches:
    """Milliseconds, and the share of probes that found their person."""

    p50_ms: float
    p95_ms: float
    recall: float


@dataclass(frozen=True, slots=True)
class Report:
    templates: int
    one_by_one: Searches
    by_graph: Searches
    projecting_s: float
    building_s: float
    """Of projecting anew together with building the graph."""
    small_enrolment_ms: float
    """Median enrolment into a gallery of 100, with the duplicate check."""
    large_enrolment_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("gallery.pgvector", "Searches and enrolments of the store in PostgreSQL.")
    parser.add_argument("--templates", type=int, default=100_000, help="of the large gallery (%(default)s)")
    options = parser.parse_args(arguments)
    with postgresql() as server, tempfile.TemporaryDirectory(prefix="bench-pgvector-") as directory:
        os.environ |= {
            "FACE_DATA_DIR": directory,
            "DATABASE_URL": server.url,
            "DJANGO_SETTINGS_MODULE": "face_app.settings",
            "GUNICORN_LOG_LEVEL": "warning",
        }
        report = measure(options.templates)
    show(report, text, as_json=options.json)
    return 0


def measure(templates: int) -> Report:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)

    from gallery.matching import Gallery
    from gallery.protection import PlainProtection
    from gallery.stores.pgvector import graphs
    from gallery.stores.pgvector.schema import prepare_database
    from gallery.stores.pgvector.store import PgvectorStore

    prepare_database()
    store = PgvectorStore(work.MODEL, PlainProtection())
    gallery = Gallery(work.MODEL, PlainProtection(), store)
    faces = work._faces(templates, seed=1)
    large, small = work._tenant("large", faces), work._tenant("small", faces[:SMALL])
    store.refresh(small)

    def search(probe: npt.NDArray[np.float32]) -> str:
        return store.search(large, [probe], 1).candidates[0].subject_id

    def searches() -> Searches:
        probes = _probes(faces)
        search(probes[0])
        took, hits = [], 0
        for index, probe in enumerate(probes):
            began = time.perf_counter()
            hits += search(probe) == f"large-{index}"
            took.append(1000 * (time.perf_counter() - began))
        return Searches(float(np.percentile(took, 50)), float(np.percentile(took, 95)), hits / len(probes))

    def enrolment_ms(tenant: Tenant, seed: int) -> float:
        new = work._faces(ENROLMENTS, seed=seed)
        took = [
            work._took_ms(partial(work._enrol, tenant, gallery, f"new-{index}", one)) for index, one in enumerate(new)
        ]
        return float(np.median(took))

    threshold, graphs.INDEXED_FROM = graphs.INDEXED_FROM, templates + 1
    projecting_s = work._took_ms(lambda: store.rebuild(large, lambda done, total: None)) / 1000
    one_by_one = searches()
    graphs.INDEXED_FROM = min(threshold, templates)
    building_s = work._took_ms(lambda: store.rebuild(large, lambda done, total: None)) / 1000
    return Report(
        templates, one_by_one, searches(), projecting_s, building_s, enrolment_ms(small, 5), enrolment_ms(large, 6)
    )


def _probes(faces: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    noise = work._faces(PROBES, seed=7)
    probes = []
    for person, anybody in zip(faces, noise, strict=False):
        away = anybody - (anybody @ person) * person
        probes.append(SIMILARITY * person + np.sqrt(1 - SIMILARITY**2) * away / np.linalg.norm(away))
    return [probe.astype(np.float32) for probe in probes]


def text(report: Report) -> str:
    rows = [
        [name, number(found.p50_ms, 1), number(found.p95_ms, 1), f"{found.recall:.4f}"]
        for name, found in (("one by one", report.one_by_one), ("through the graph", report.by_graph))
    ]
    return "\n".join(
        [
            f"{report.templates} templates, random; similarity of a probe to its person {SIMILARITY:g}",
            table(["", "p50 ms", "p95 ms", "found"], rows),
            f"projecting {report.projecting_s:.1f} s, with the graph {report.building_s:.1f} s",
            f"enrolment into {SMALL} {report.small_enrolment_ms:.1f} ms,"
            f" into {report.templates} {report.large_enrolment_ms:.1f} ms",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
