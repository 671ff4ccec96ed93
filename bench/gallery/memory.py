"""What a large gallery takes of the memory of all processes of a service together.

    python -m bench.gallery.memory [--templates 100000,1000000] [--stores exact,usearch] [--workers 4]
                                   [--directory DIRECTORY] [--json]

The service of each line is started anew, with the index files in place. Its workers first search an empty gallery, each
of them, and then the one of random templates by pictures of Labeled Faces in the Wild over REST, one search after the
other. `private` (USS) is what each process has by itself, summed up; in `all` (PSS) a page that several processes share
is counted once. What is mapped of the index files is part of it, and so are the master and its helpers.

Pages of the files that no process has mapped are not: the system keeps them while it has nothing better to do with the
memory. With --directory galleries are made there, or taken from there, and stay. Ends with 1 when `all` is above
1.5 GB.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import httpx
import psutil

from bench.cli import has_clips, report_parser, show
from bench.gallery.filling import filled
from bench.lfw import IMAGES, picture_names
from bench.load.tables import number, table
from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service

EMPTY = "empty"
POOL_SIZE = 4
PICTURES = 100
SEARCHES = 400
CLIENTS_PER_WORKER = 4
SAMPLED_EVERY_S = 0.2
RETRY_S = 0.5
MOST_BYTES = 1_500_000_000
INDEX_FILES = f"{os.sep}index{os.sep}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of all processes together. `mapped`: what of `all` is index files."""

    private: int
    all: int
    mapped: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        root = psutil.Process(pid)
        maps = [one for process in [root, *root.children(recursive=True)] for one in process.memory_maps(grouped=False)]
        return cls(
            sum(one.private_clean + one.private_dirty for one in maps),
            sum(one.pss for one in maps),
            sum(one.pss for one in maps if INDEX_FILES in one.path),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """Memory after searches of an empty gallery and of the large one, and the most while those went on."""

    store: str
    templates: int
    empty: Memory
    after: Memory
    most: Memory
    first_search_ms: float

    @property
    def is_too_much(self) -> bool:
        return max(self.after.all, self.most.all) > MOST_BYTES


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("gallery.memory"):
        return 2
    sizes = [int(size) for size in options.templates.split(",")]
    with ExitStack() as stack:
        made = options.directory or stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-memory-"))
        lines = measure(Path(made), sizes, options.stores.split(","), options.workers)
    show(lines, _text, as_json=options.json)
    return 1 if any(line.is_too_much for line in lines) else 0


def measure(directory: Path, sizes: Sequence[int], stores: Sequence[str], workers: int) -> list[Line]:
    os.environ.update(FACE_DATA_DIR=str(directory / "var"), DJANGO_SETTINGS_MODULE="face_app.settings")
    with running_service(directory, workers=1, pool_size=1):
        pass  # Makes the database.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        keys = pool.submit(filled, {EMPTY: 0} | {str(size): size for size in sizes}).result()
    pictures = [(IMAGES / name).read_bytes() for name in picture_names()[:PICTURES]]
    return [_line(directory, store, size, workers, keys, pictures) for store in stores for size in sizes]


def _line(
    directory: Path, store: str, size: int, workers: int, keys: dict[str, str], pictures: Sequence[bytes]
) -> Line:
    environment = {"FACE_GALLERY_STORE": store}
    with running_service(directory, workers=workers, pool_size=POOL_SIZE, environment=environment) as service:
        _search_everywhere(service, keys[EMPTY], workers, pictures)
        empty = Memory.of(service.pid)
        began = time.perf_counter()
        with loopback.blocking_client(base_url=service.base_url, timeout=PATIENCE_S) as client:
            _search(client, keys[str(size)], pictures[0])
        first_ms = 1_000 * (time.perf_counter() - began)
        with _sampled(service.pid) as samples:
            _search_everywhere(service, keys[str(size)], workers, pictures)
        after = Memory.of(service.pid)
    return Line(store, size, empty, after, max(samples, key=lambda one: one.all), first_ms)


def _search_everywhere(service: LiveService, key: str, workers: int, pictures: Sequence[bytes]) -> None:
    """Search over several connections to each worker. Raises RuntimeError when a worker has got none of the searches,
    which is seen by the files that it has mapped."""
    before = _mapping(service.pid)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(loopback.blocking_client(base_url=service.base_url, timeout=PATIENCE_S))
            for _ in range(CLIENTS_PER_WORKER * workers)
        ]
        with ThreadPoolExecutor(len(clients)) as threads:  # At once: such connections are shared out evenly.
            list(threads.map(lambda client: _search(client, key, pictures[0]), clients))
        turns = itertools.islice(zip(itertools.cycle(clients), itertools.cycle(pictures), strict=False), SEARCHES)
        for client, picture in turns:
            _search(client, key, picture)
    found = _mapping(service.pid)
    if not any(mapped >= workers > before.get(path, 0) for path, mapped in found.items()):
        raise RuntimeError(f"not all of {workers} workers have searched: {found}")


def _mapping(pid: int) -> dict[str, int]:
    """How many processes have mapped each index file."""
    found: dict[str, int] = {}
    for process in psutil.Process(pid).children(recursive=True):
        for path in {one.path for one in process.memory_maps() if INDEX_FILES in one.path}:
            found[path] = found.get(path, 0) + 1
    return found


def _search(client: httpx.Client, key: str, picture: bytes) -> None:
    """Try again while the service is busy: sixteen first searches at once wait for each other."""
    deadline = time.monotonic() + PATIENCE_S
    while (answer := _asked(client, key, picture)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(RETRY_S)
    if answer.status_code not in (200, 422):  # Of some pictures the service wants a better one.
        raise RuntimeError(f"a search was answered with {answer.status_code}: {answer.text}")


def _asked(client: httpx.Client, key: str, picture: bytes) -> httpx.Response:
    return client.post(
        "/api/v1/faces/search/",
        files={"image": ("face.jpg", picture, "image/jpeg")},
        headers={"Authorization": f"Bearer {key}"},
    )


@contextmanager
def _sampled(pid: int) -> Iterator[list[Memory]]:
    """Yields a list that memory is put into, again and again, until the block ends."""
    samples: list[Memory] = []
    ends = threading.Event()

    def sample() -> None:
        while not samples or not ends.wait(SAMPLED_EVERY_S):
            samples.append(Memory.of(pid))

    with ThreadPoolExecutor(1) as thread:
        sampling = thread.submit(sample)
        try:
            yield samples
        finally:
            ends.set()
        sampling.result()


def _text(lines: Sequence[Line]) -> str:
    heads = ["MB", "templates", "empty: private", "all", "large: private", "all", "mapped", "gallery's", "most"]
    return table([*heads, "first search ms"], [_cells(line) for line in lines])


def _cells(line: Line) -> list[str]:
    found = [line.empty.private, line.empty.all, line.after.private, line.after.all, line.after.mapped]
    sizes = [*found, line.after.all - line.empty.all, line.most.all]
    return [
        line.store,
        str(line.templates),
        *(number(size / 1e6) for size in sizes),
        number(line.first_search_ms),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("gallery.memory", "Memory of a service with a large gallery.")
    parser.add_argument("--templates", default="100000,1000000", help="sizes of galleries (%(default)s)")
    parser.add_argument("--stores", default="exact,usearch", help="with commas (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="workers of the service (%(default)s)")
    parser.add_argument("--directory", help="where galleries are made, or were made before; it stays")
    return parser


if __name__ == "__main__":
    sys.exit(main())
