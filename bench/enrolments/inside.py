"""What `bench.enrolments` does inside of processes of its own: making galleries, and running bare engines."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any

from bench.gallery.faces import TEMPLATES_OF_EACH, Crowd
from bench.gallery.work import BARRIER_TIMEOUT_S, Span, tenant_with

if TYPE_CHECKING:
    from core.face_recognition_engine import FaceRecognitionEngine

POOL_SIZE = 4

_barrier: Any = None
_engine: FaceRecognitionEngine | None = None
_threads: ThreadPoolExecutor | None = None


def make_tenants(templates: Mapping[str, int]) -> dict[str, str]:
    """Make tenants with so many templates of random people; returns an API key of each."""
    import django

    django.setup()
    from config.service import service_settings
    from recognition.deciding import Deciding
    from tenants.keys import issue_key
    from tenants.scopes import Scope

    model_id = Deciding.load(service_settings()).gallery.model_id
    keys = {}
    for seed, (name, number) in enumerate(templates.items()):
        people = [f"p{row // TEMPLATES_OF_EACH}" for row in range(number)]
        tenant = tenant_with(name, people, Crowd.of(number, seed).templates, model_id)
        keys[name] = issue_key(tenant, "bench", Scope).text
    return keys


def load_engine(barrier: Any) -> None:
    """Set a process up: an engine as a worker has one."""
    global _barrier, _engine, _threads
    import django

    django.setup()
    from config.service import service_settings
    from recognition import worker
    from recognition.deciding import Deciding

    settings = service_settings()
    _barrier, _engine = barrier, worker.load_engine(Deciding.load(settings), POOL_SIZE)
    _threads = ThreadPoolExecutor(settings.compute_threads)


def embed_all(pictures: Sequence[bytes]) -> Span:
    """Find and embed the face of each picture, once every process is ready."""
    from bench.lfw import LIMITS

    assert _engine is not None
    assert _threads is not None
    engine = _engine

    def embed(picture: bytes) -> None:
        engine.embed(engine.analyse_still(picture, LIMITS))

    list(_threads.map(embed, pictures[:8]))
    try:
        _barrier.wait(BARRIER_TIMEOUT_S)
    except BrokenBarrierError as error:
        raise RuntimeError("another engine did not start") from error
    began = time.monotonic()
    list(_threads.map(embed, pictures))
    return Span(began, time.monotonic())
