"""MiniFASNet, an anti-spoof network of depthwise convolutions, built as a graph from the tensors of its authors' file.

Minivision, Silent-Face-Anti-Spoofing, Apache-2.0. Names of layers and their order are those of its
`src/model_lib/MiniFASNet.py`. Batch normalisation is folded into the convolutions before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from core.errors import ModelError

Weights = npt.NDArray[np.float32]

SIDE = 80
"""Side of the input in pixels."""
_PREFIX = "module."
_EPSILON = 1e-5
"""Added to the variance by PyTorch's batch normalisation."""
_RESIDUALS = {"conv_3": 4, "conv_4": 6, "conv_5": 2}
"""Blocks of each stage between two that halve the picture."""


def minifasnet(tensors: Mapping[str, npt.NDArray[np.generic]]) -> ov.Model:
    """Graph from a (1, 3, 80, 80) batch, BGR, 0..255, to (1, 3) logits. Raises ModelError for other tensors."""
    try:
        return _Layers(tensors).model()
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(f"these are not the tensors of a MiniFASNet: {error}") from error


class _Layers:
    def __init__(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self._tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}

    def model(self) -> ov.Model:
        picture = ops.parameter([1, 3, SIDE, SIDE], np.float32, name="picture")
        node = self._convolve(picture, "conv1", stride=2)
        node = self._convolve(node, "conv2_dw")
        for halving, stage in (("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5")):
            node = self._block(node, halving, stride=2)
            for number in range(_RESIDUALS[stage]):
                node = ops.add(node, self._block(node, f"{stage}.model.{number}"))
        node = self._convolve(node, "conv_6_sep")
        node = self._convolve(node, "conv_6_dw", padding=0)
        node = ops.reshape(node, np.array([1, -1]), special_zero=False)
        node = ops.matmul(node, self._constant(self._get("linear.weight")), False, True)
        scale, shift = self._normalisation("bn")
        node = ops.add(ops.multiply(node, self._constant(scale)), self._constant(shift))
        node = ops.matmul(node, self._constant(self._get("prob.weight")), False, True)
        return ov.Model([node], [picture], "minifasnet")

    def _block(self, node: ov.Output, name: str, stride: int = 1) -> ov.Node:
        node = self._convolve(node, f"{name}.conv")
        node = self._convolve(node, f"{name}.conv_dw", stride)
        return self._convolve(node, f"{name}.project")

    def _convolve(self, node: ov.Output, name: str, stride: int = 1, padding: int | None = None) -> ov.Node:
        """A convolution, its batch normalisation and, where there is one, its PReLU."""
        kernel = self._get(f"{name}.conv.weight")
        scale, shift = self._normalisation(f"{name}.bn")
        kernel = kernel * scale[:, np.newaxis, np.newaxis, np.newaxis]
        around = kernel.shape[-1] // 2 if padding is None else padding
        strides, pads, dilations = [stride, stride], [around, around], [1, 1]
        if kernel.shape[1] == 1:
            grouped = self._constant(kernel[:, np.newaxis])
            convolved = ops.group_convolution(node, grouped, strides, pads, pads, dilations)
        else:
            convolved = ops.convolution(node, self._constant(kernel), strides, pads, pads, dilations)
        shifted = ops.add(convolved, self._constant(shift.reshape(1, -1, 1, 1)))
        slope = self._tensors.get(f"{name}.prelu.weight")
        return shifted if slope is None else ops.prelu(shifted, self._constant(np.asarray(slope, np.float32)))

    def _normalisation(self, name: str) -> tuple[Weights, Weights]:
        """Factor and summand of each channel."""
        weight, bias, mean, variance = self._each(name, "weight", "bias", "running_mean", "running_var")
        scale = weight / np.sqrt(variance + _EPSILON)
        return scale, bias - mean * scale

    def _each(self, name: str, *parts: str) -> Iterator[Weights]:
        return (self._get(f"{name}.{part}") for part in parts)

    def _get(self, name: str) -> Weights:
        return np.asarray(self._tensors[name], np.float32)

    def _constant(self, values: Weights) -> ov.Node:
        return ops.constant(np.ascontiguousarray(values, np.float32))
