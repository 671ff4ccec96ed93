"""One network serves many threads, each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.networks import InferRequest, Tensor, read_network
from tests.processes import run


def test_threads_do_not_mix_their_answers(model_dir: Path) -> None:
    network = read_network(model_dir / "fr_liveness.onnx", threads=2)
    source = np.random.default_rng(0)
    batches = [source.uniform(0, 255, (1, 3, 128, 128)).astype(np.float32) for _ in range(8)]
    alone = [network.run(batch) for batch in batches]
    assert len({answer.tobytes() for answer in alone}) == len(batches)
    with ThreadPoolExecutor(4) as executor:
        together = list(executor.map(network.run, batches * 4))
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(together, alone * 4, strict=True))


def test_an_answer_is_kept_when_the_network_runs_again(model_dir: Path) -> None:
    network = read_network(model_dir / "fr_liveness.onnx")
    first = network.run(np.zeros((1, 3, 128, 128), np.float32))
    kept = first.copy()
    network.run(np.full((1, 3, 128, 128), 200, np.float32))
    assert np.array_equal(first, kept)


def test_a_request_that_failed_is_replaced_and_the_network_goes_on(model_dir: Path) -> None:
    network = read_network(model_dir / "fr_liveness.onnx")
    batch = np.full((1, 3, 128, 128), 200, np.float32)
    answer = network.run(batch)
    with pytest.raises(RuntimeError, match="while it looked"), network.request() as failed:
        raise RuntimeError("while it looked")
    with network.request() as request:
        assert request is not failed
    assert np.array_equal(network.run(batch), answer)


def test_every_graph_has_run_before_anybody_waits_for_it(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[InferRequest] = []
    run_it = InferRequest.run

    def counted(request: InferRequest) -> Sequence[Tensor]:
        runs.append(request)
        return run_it(request)

    monkeypatch.setattr(InferRequest, "run", counted)
    read_network(model_dir / "fr_liveness.onnx", threads=3)
    assert len(set(map(id, runs))) == 3


STARTS = 8
"""Of processes whose threads go for the library at once: where that can end in a deadlock it does in one of four."""
MANY_THREADS = """
import sys, threading
from pathlib import Path
from core.networks import read_network

together = threading.Barrier(8)

def first_run():
    together.wait()
    with read_network(Path(sys.argv[1])).request() as request:
        request.run()

for thread in [threading.Thread(target=first_run) for _ in range(8)]:
    thread.start()
"""


def test_threads_may_all_begin_at_once(model_dir: Path) -> None:
    for _ in range(STARTS):
        done = run("-c", MANY_THREADS, str(model_dir / "fr_liveness.onnx"))
        assert done.returncode == 0, done.stderr
