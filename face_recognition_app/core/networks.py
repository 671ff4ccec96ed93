"""Inference of networks. Only this module uses OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.preprocess import PrePostProcessor

Tensor = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]

# OpenVINO imports numpy when it first hands memory over. Two threads that do so at once deadlock: one waits for the
# interpreter's lock, the other holds it and waits for the first.
_ = ov.Tensor(np.zeros(1, np.float32)).data


class Network(Protocol):
    def run(self, batch: Tensor) -> Tensor:
        """Compute the first output for a (1, 3, height, width) batch. Thread-safe."""


class InferRequest:
    """Inference request of one graph with fixed shapes.

    The caller writes the pictures into `input`, because passing a batch to OpenVINO takes 0.1 ms.
    """

    def __init__(self, graph: ov.CompiledModel) -> None:
        self.graph = graph
        self._request = graph.create_infer_request()
        self.input: Array = self._request.get_input_tensor(0).data
        self._outputs: list[Tensor] = [self._request.get_output_tensor(n).data for n in range(len(graph.outputs))]

    def run(self) -> Sequence[Tensor]:
        """Compute every output for `input`, in order. The next run overwrites them."""
        self._request.infer({}, share_outputs=True)
        return self._outputs


class OpenVinoNetwork:
    """Network with a graph for each of `threads` callers, which computes on the calling thread.

    One graph for all callers would compute on threads of its own: handing over and back takes 0.5 ms, a third of the
    smaller networks' time. The constructor runs each graph once, because the first run takes longer.
    """

    def __init__(self, model: ov.Model, threads: int = 1) -> None:
        self._free: SimpleQueue[InferRequest] = SimpleQueue()
        with ThreadPoolExecutor(threads) as executor:
            for graph in executor.map(_compile, [model] * threads):
                request = InferRequest(graph)
                request.run()
                self._free.put(request)

    @contextmanager
    def request(self) -> Iterator[InferRequest]:
        """Lend a graph to the caller alone until the block ends, with its outputs. A graph that failed is replaced."""
        request = self._free.get()
        try:
            yield request
        except BaseException:
            request = InferRequest(request.graph)
            raise
        finally:
            self._free.put(request)

    def run(self, batch: Tensor) -> Tensor:
        with self.request() as request:
            request.input[:] = batch
            return np.array(request.run()[0], np.float32)


def read_network(path: Path, threads: int = 1) -> OpenVinoNetwork:
    """A network whose batch has one picture, also where its file leaves that open."""
    model = ov.Core().read_model(path)
    shape = model.inputs[0].partial_shape
    if shape[0].is_dynamic:
        model.reshape({model.inputs[0]: [1, *shape[1:]]})
    return OpenVinoNetwork(model, threads)


def read_image_network(path: Path, low: float, high: float, threads: int = 1) -> OpenVinoNetwork:
    """A network of (1, height, width, 3) pictures that takes bytes 0..255, and scales them to low..high itself."""
    model = ov.Core().read_model(path)
    _batch, *sides = model.inputs[0].partial_shape
    model.reshape({model.inputs[0]: [1, *(side.get_length() for side in sides)]})
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8)
    scale = 255.0 / (high - low)
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(-low * scale).scale(scale)
    return OpenVinoNetwork(steps.build(), threads)


def _compile(model: ov.Model) -> ov.CompiledModel:
    # With pinning, all workers would pin to the same first cores.
    on_the_callers_thread = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    return ov.Core().compile_model(model, "CPU", on_the_callers_thread)
