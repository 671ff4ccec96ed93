"""The original design's engine: legacy FaceMesh instances in a queue, which threads borrow from.

Runs under the environment of requirements.txt beside it and imports nothing of the service.
`bench.legacy.baseline` makes that environment, starts this and reads the one line of JSON it prints.

    python face_mesh_pool.py FRAMES.npy --threads T [--instances 8] [--seconds S] [--refine]
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""(n, height, width, 3), RGB."""

_PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Work:
    """Work of one thread: `seconds` is the time of its frames, including the wait for an instance."""

    frames: int
    found: int
    seconds: float


class FaceMeshPool:
    """`size` stateless instances; a thread waits for a free one."""

    def __init__(self, size: int, refine: bool) -> None:
        self._free: queue.Queue[Any] = queue.Queue()
        for _ in range(size):
            self._free.put(
                mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=refine)
            )

    def finds_face(self, frame: Frames) -> bool:
        mesh = self._free.get()
        try:
            return mesh.process(frame).multi_face_landmarks is not None
        finally:
            self._free.put(mesh)

    def warm_up(self, frame: Frames) -> None:
        """Process one frame with every instance: the queue hands them out in turn."""
        for _ in range(self._free.qsize()):
            self.finds_face(frame)

    def close(self) -> None:
        while not self._free.empty():
            self._free.get().close()


def work(pool: FaceMeshPool, frames: Frames, first: int, deadline: float) -> Work:
    count = found = 0
    begin = time.perf_counter()
    while time.perf_counter() < deadline:
        found += pool.finds_face(frames[(first + count) % len(frames)])
        count += 1
    return Work(count, found, time.perf_counter() - begin)


def resident_bytes() -> int:
    pages = int((_PROCESS / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(pool: FaceMeshPool, frames: Frames, threads: int, seconds: float) -> dict[str, float]:
    with ThreadPoolExecutor(threads) as executor:
        cpu = time.process_time()
        begin = time.perf_counter()
        # Each thread starts elsewhere, so that no two process the same frame.
        starts = [thread * len(frames) // threads for thread in range(threads)]
        running = [executor.submit(work, pool, frames, start, begin + seconds) for start in starts]
        time.sleep(seconds / 2)
        # The instances' own threads exist from their creation, the borrowing ones only while they work.
        process_threads = len(list((_PROCESS / "task").iterdir()))
        done = [future.result() for future in running]
        elapsed = time.perf_counter() - begin
        cpu = time.process_time() - cpu
    count = sum(thread.frames for thread in done)
    return {
        "frames": count,
        "found": sum(thread.found for thread in done),
        "frames_per_second": count / elapsed,
        "cpu_ms_per_frame": 1000 * cpu / count,
        "wall_ms_per_frame": 1000 * sum(thread.seconds for thread in done) / count,
        "cores": cpu / elapsed,
        "process_threads": process_threads,
        "rss_mb": (resident_bytes() - frames.nbytes) / 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of the original design's pool of FaceMesh instances.")
    parser.add_argument("frames", type=Path, help="a .npy of RGB frames, (n, height, width, 3) of uint8")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--instances", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--refine", action="store_true", help="with the second network, for eyes and lips")
    options = parser.parse_args()
    frames: Frames = np.load(options.frames)
    pool = FaceMeshPool(options.instances, options.refine)
    try:
        pool.warm_up(frames[0])
        print(json.dumps(measure(pool, frames, options.threads, options.seconds)))
    finally:
        pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
