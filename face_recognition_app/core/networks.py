"""Runs a network on one input: the only place that knows the inference library."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import openvino as ov

Tensor = npt.NDArray[np.float32]


class Network(Protocol):
    def run(self, batch: Tensor) -> Tensor:
        """(1, 3, height, width) in, the first output out. Safe from several threads at once."""


class OpenVinoNetwork:
    """One compiled model, one inference request per calling thread, one core per request."""

    def __init__(self, path: Path, streams: int) -> None:
        self._model = ov.Core().compile_model(
            path,
            "CPU",
            {"INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False},
        )
        self._local = threading.local()

    def run(self, batch: Tensor) -> Tensor:
        request: ov.InferRequest | None = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        output = request.infer({0: batch}, share_inputs=True)[0]
        return np.array(output, np.float32)
