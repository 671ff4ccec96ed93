"""Tensors of a file that PyTorch saved, read without PyTorch.

A pickle can run anything: this one may make dictionaries and tensors only, and everything else in it is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError

_STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"}
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""The first of the five pickles with which a file begins that is no zip."""

Tensor = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    kind: np.dtype[Any]
    length: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor as the pickle describes it: a view of a storage; `offset` and `stride` in its elements."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, elements: Tensor) -> Tensor:
        last = self.offset + sum((many - 1) * step for many, step in zip(self.size, self.stride, strict=True))
        if self.offset < 0 or min((*self.size, *self.stride), default=1) < 0 or last >= len(elements):
            raise ModelError("a tensor reaches beyond its storage")
        steps = tuple(step * elements.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(elements[self.offset :], self.size, steps, writeable=False).copy()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by their names. Raises ModelError when the file is no dictionary of tensors."""
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                return _read_zip(file)
            file.seek(0)
            return _read_legacy(file)
    except (pickle.UnpicklingError, zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise ModelError(f"{path.name} is no file of tensors: {error}") from error


def _read_zip(file: IO[bytes]) -> dict[str, Tensor]:
    with zipfile.ZipFile(file) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        views = _views(_Unpickler(io.BytesIO(archive.read(f"{folder}/data.pkl"))).load())
        return _tensors(views, lambda storage: archive.read(f"{folder}/data/{storage.key}"))


def _read_legacy(file: IO[bytes]) -> dict[str, Tensor]:
    """The magic number, a version, facts of the system, the dictionary, the storages' keys, and each one's elements."""
    magic, _version, _system, saved, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC_NUMBER:
        raise ValueError("it does not begin as one")
    views = _views(saved)
    storages = {view.storage.key: view.storage for view in views.values()}
    contents = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little")
        contents[key] = file.read(length * storages[key].kind.itemsize)
    return _tensors(views, lambda storage: contents[storage.key])


def _views(saved: object) -> dict[str, _View]:
    if not isinstance(saved, Mapping) or not all(isinstance(view, _View) for view in saved.values()):
        raise ValueError("it holds something else")
    return dict(saved)


def _tensors(views: Mapping[str, _View], read: Callable[[_Storage], bytes]) -> dict[str, Tensor]:
    return {name: view.of(np.frombuffer(read(view.storage), view.storage.kind)) for name, view in views.items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        raise pickle.UnpicklingError(f"{module}.{name} may not be in it")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, length, *_ = pid
        return _Storage(str(key), kind, int(length))


def _rebuild(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _View:
    return _View(storage, offset, size, stride)
