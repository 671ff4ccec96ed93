"""Runs networks: the only place that knows the inference library."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.preprocess import PrePostProcessor

Tensor = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]

# The library looks numpy up when it first hands memory over. Two threads that do so at once wait for each other: one
# for the interpreter's lock, and the other, which has it, for the first to be done.
_ = ov.Tensor(np.zeros(1, np.float32)).data


class Network(Protocol):
    def run(self, batch: Tensor) -> Tensor:
        """(1, 3, height, width) in, the first output out. Safe from several threads at once."""


class InferRequest:
    """One thread's way to run a compiled network of fixed shapes; its buffers are its own.

    What is to be looked at is written into `input`: handing a batch over takes the library a tenth of a millisecond.
    """

    def __init__(self, model: ov.CompiledModel) -> None:
        self._request = model.create_infer_request()
        self.input: Array = self._request.get_input_tensor(0).data
        self._outputs: list[Tensor] = [self._request.get_output_tensor(n).data for n in range(len(model.outputs))]

    def run(self) -> Sequence[Tensor]:
        """Every output of what `input` holds, in order; they are overwritten by the next run."""
        self._request.infer({}, share_outputs=True)
        return self._outputs


class OpenVinoNetwork:
    """One compiled model; each calling thread has its own request."""

    def __init__(self, path: Path, streams: int = 1) -> None:
        self._model = compile_network(path, streams)
        self._local = threading.local()

    def run(self, batch: Tensor) -> Tensor:
        request: InferRequest | None = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = InferRequest(self._model)
        request.input[:] = batch
        return np.array(request.run()[0], np.float32)


def compile_network(path: Path, streams: int) -> ov.CompiledModel:
    """For the CPU: so many requests run side by side, each on one thread, while their callers wait for them."""
    return _compile(ov.Core().read_model(path), streams)


def compile_image_network(path: Path, low: float, high: float, streams: int) -> ov.CompiledModel:
    """A network of (1, height, width, 3) pictures that takes bytes 0..255, and scales them to low..high itself."""
    model = ov.Core().read_model(path)
    _batch, *sides = model.inputs[0].partial_shape
    model.reshape({model.inputs[0]: [1, *(side.get_length() for side in sides)]})
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8)
    scale = 255.0 / (high - low)
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(-low * scale).scale(scale)
    return _compile(steps.build(), streams)


def _compile(model: ov.Model, streams: int) -> ov.CompiledModel:
    # Without streams the callers would compute themselves, but one after the other: they would share one graph's lock.
    # Every worker would pin its streams to the same first cores.
    only = {"INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
    return ov.Core().compile_model(model, "CPU", only)
