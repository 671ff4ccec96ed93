"""Files of tensors are read without PyTorch, and nothing in them is run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from core.pytorch_file import read_tensors

NUMBERS = np.arange(12, dtype="<f4")
COUNTS = np.array([3, 5], "<i8")


class Global:
    """Pickled as a name that may not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.names = module, name


class Storage:
    def __init__(self, kind: str, key: str, length: int) -> None:
        self.pid = ("storage", Global("torch", kind), key, "cpu", length)


class Tensor:
    def __init__(self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.arguments: tuple[Any, ...] = (storage, offset, size, stride, False, OrderedDict())


_PythonPickler: Any = pickle._Pickler  # The one in C cannot write such names.


class TorchPickler(_PythonPickler):  # type: ignore[misc]
    def persistent_id(self, thing: object) -> Any:
        return thing.pid if isinstance(thing, Storage) else None

    def save(self, thing: object, *rest: Any, **more: Any) -> None:
        if isinstance(thing, Global):
            module, name = thing.names
            self.write(f"c{module}\n{name}\n".encode())
        elif isinstance(thing, Tensor):
            self.save_reduce(Global("torch._utils", "_rebuild_tensor_v2"), thing.arguments)
        else:
            super().save(thing, *rest, **more)

    def save_reduce(self, function: Any, arguments: Any, *rest: Any, **more: Any) -> None:
        if isinstance(function, Global):
            self.save(function)
            self.save(arguments)
            self.write(pickle.REDUCE)
        else:
            super().save_reduce(function, arguments, *rest, **more)


def pickled(thing: object) -> bytes:
    file = io.BytesIO()
    TorchPickler(file, 2).dump(thing)
    return file.getvalue()


def saved(**tensors: Tensor) -> OrderedDict[str, Tensor]:
    return OrderedDict(tensors)


MATRIX = Tensor(Storage("FloatStorage", "7", 12), 2, (2, 3), (3, 1))
TURNED = Tensor(Storage("FloatStorage", "7", 12), 0, (3, 4), (1, 3))
SCALAR = Tensor(Storage("LongStorage", "8", 2), 1, (), ())
ELEMENTS = {"7": NUMBERS, "8": COUNTS}


def legacy(path: Path, thing: object) -> Path:
    parts = [pickle.dumps(number, 2) for number in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts += [pickled(thing), pickle.dumps(list(ELEMENTS), 2)]
    parts += [struct.pack("<q", len(elements)) + elements.tobytes() for elements in ELEMENTS.values()]
    path.write_bytes(b"".join(parts))
    return path


def zipped(path: Path, thing: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickled(thing))
        for key, elements in ELEMENTS.items():
            archive.writestr(f"model/data/{key}", elements.tobytes())
    return path


@pytest.mark.parametrize("save", [legacy, zipped])
def test_tensors_are_what_was_saved(tmp_path: Path, save: Any) -> None:
    found = read_tensors(save(tmp_path / "file", saved(matrix=MATRIX, turned=TURNED, scalar=SCALAR)))
    assert list(found) == ["matrix", "turned", "scalar"]
    assert np.array_equal(found["matrix"], NUMBERS[2:8].reshape(2, 3))
    assert np.array_equal(found["turned"], NUMBERS.reshape(4, 3).T)
    assert found["scalar"].shape == ()
    assert found["scalar"] == 5


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("save", [legacy, zipped])
@pytest.mark.parametrize(
    "thing",
    [
        Evil(),
        OrderedDict(tensor=MATRIX, other=Evil()),
        [MATRIX],
        {"tensor": 1},
        saved(tensor=Tensor(Storage("DoubleStorage", "7", 12), 0, (1,), (1,))),
        saved(tensor=Tensor(Storage("FloatStorage", "9", 12), 0, (1,), (1,))),
        saved(tensor=Tensor(Storage("FloatStorage", "7", 12), 0, (13,), (1,))),
        saved(tensor=Tensor(Storage("FloatStorage", "7", 12), -1, (3,), (1,))),
        saved(tensor=Tensor(Storage("FloatStorage", "7", 12), 4, (3,), (-1,))),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any, thing: object
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        read_tensors(save(tmp_path / "file", thing))
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_broken_off_is_refused(tmp_path: Path) -> None:
    whole = legacy(tmp_path / "file", saved(matrix=MATRIX)).read_bytes()
    for length in range(0, len(whole) - 16, 7):
        (tmp_path / "part").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_tensors(tmp_path / "part")
