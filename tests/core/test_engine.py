"""The facade: one frame in, faces out, and the pool whole whatever happened."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import InvalidImage, MeshFailed, PoolClosed, PoolTimeout
from core.face_mesh import IN_SESSION, UNTRACKED, FaceMesh, Search, Tracking
from core.face_mesh.regions import shift
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine, FrameView, LivenessDetector
from core.imaging.containers.header import ContainerHeader
from core.imaging.frames import Header, ImageLimits
from core.imaging.scale import reduction_for_still
from core.pool import Pool
from core.types import Detail, MeshFace, RgbImage
from testkit.clips import encode_jpeg
from testkit.recognised import recognised
from tests.fakes import CountingMesh, FailingMesh, MeshFactory
from vocabulary.faces import Issue
from weights.catalogue import MODELS

FRAME = np.zeros((48, 64, 3), np.uint8)


def detector(meshes: MeshFactory, timeout_s: float = 1.0) -> LivenessDetector:
    return LivenessDetector(Pool[FaceMesh](meshes, 1), timeout_s)


def config(model_dir: Path) -> EngineConfig:
    return EngineConfig("openvino", 1, {model.name: model_dir / model.filename for model in MODELS})


def test_a_mesh_that_raises_is_replaced_and_the_failure_is_typed() -> None:
    meshes = MeshFactory(FailingMesh, {"after": 2})
    detect = detector(meshes)
    assert detect.safe_process(FRAME) == detect.safe_process(FRAME) == []
    with pytest.raises(MeshFailed, match="RuntimeError") as caught:
        detect.safe_process(FRAME)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert caught.value.retryable
    status = detect.pool_status()
    assert (status.recycled_total, status.pool_size, status.available, status.in_use) == (1, 1, 1, 0)
    assert detect.safe_process(FRAME) == []
    detect.close()
    assert (meshes.made, meshes.alive) == (2, 0)


def test_a_thousand_failures_leave_every_instance_available() -> None:
    meshes = MeshFactory(FailingMesh)
    pool: Pool[FaceMesh] = Pool(meshes, 2)
    pool.fill()
    detect = LivenessDetector(pool, 10.0)

    def fail(_: int) -> None:
        with pytest.raises(MeshFailed):
            detect.safe_process(FRAME)

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(fail, range(1_000)))
    status = detect.pool_status()
    assert (status.pool_size, status.available, status.in_use, status.waiting) == (2, 2, 0, 0)
    assert status.recycled_total == 1_000
    assert meshes.most_alive == 2
    detect.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_disguised(error: type[BaseException]) -> None:
    class Interrupted(CountingMesh):
        def process(
            self,
            rgb: RgbImage,
            tracking: Tracking = UNTRACKED,
            detail: Detail = Detail.FULL,
            search: Search = IN_SESSION,
        ) -> list[MeshFace]:
            raise error

    detect = detector(MeshFactory(Interrupted))
    with pytest.raises(error):
        detect.safe_process(FRAME)
    assert (detect.pool_status().available, detect.pool_status().in_use) == (1, 0)
    detect.close()


def test_a_mesh_that_cannot_be_made_is_a_mesh_failure() -> None:
    def no_model() -> FaceMesh:
        raise FileNotFoundError("face_landmarker.task")

    with pytest.raises(MeshFailed, match="FileNotFoundError"):
        LivenessDetector(Pool(no_model, 1), 1.0).safe_process(FRAME)


def test_an_exhausted_pool_says_busy_in_time() -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(CountingMesh):
        def process(
            self,
            rgb: RgbImage,
            tracking: Tracking = UNTRACKED,
            detail: Detail = Detail.FULL,
            search: Search = IN_SESSION,
        ) -> list[MeshFace]:
            inside.set()
            assert go_on.wait(10)
            return []

    detect = detector(MeshFactory(Slow), timeout_s=0.02)
    with ThreadPoolExecutor(1) as executor:
        frame = executor.submit(detect.safe_process, FRAME)
        assert inside.wait(10)
        with pytest.raises(PoolTimeout) as caught:
            detect.safe_process(FRAME)
        assert caught.value.code == "busy"
        assert (detect.pool_status().in_use, detect.pool_status().available) == (1, 0)
        go_on.set()
        assert frame.result(10) == []
    assert detect.pool_status().timeouts_total == 1
    detect.close()


def test_a_closed_detector_says_so() -> None:
    detect = detector(MeshFactory())
    detect.warm_up()
    detect.close()
    with pytest.raises(PoolClosed):
        detect.safe_process(FRAME)
    assert detect.pool_status().pool_size == 0


def test_a_warm_engine_has_measured_a_crop(engine: FaceRecognitionEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV makes its tables of colours when it first needs them: the first face would wait for 70 ms."""
    measured: list[tuple[int, ...]] = []
    monkeypatch.setattr("core.face_recognition_engine.measures", lambda crop: measured.append(crop.shape))
    engine.warm_up()
    assert measured == [(112, 112, 3)]


def test_there_is_no_way_to_a_mesh_around_the_pool() -> None:
    detect = detector(MeshFactory())
    assert [name for name in vars(detect) if "pool" in name] == ["_LivenessDetector__pool"]
    assert not hasattr(detect, "face_mesh")
    detect.close()


def test_a_look_tells_faces_and_quality(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage
) -> None:
    view = engine.analyse(encode_jpeg(good_picture), limits)
    assert view.rgb.shape == good_picture.shape
    assert view.face is view.faces[0]
    assert view.quality.issues == ()
    assert view.box is not None
    assert (view.box.x + view.box.width / 2, view.box.y + view.box.height / 2) == pytest.approx((0.5, 0.5), abs=0.02)


def enlarged(picture: RgbImage, times: float) -> bytes:
    return encode_jpeg(np.asarray(cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)))


@pytest.mark.parametrize(("times", "reduction"), [(1, 1), (2, 2), (4, 4), (7, 8)])
def test_a_light_look_at_a_large_frame_reads_as_many_pixels_as_it_needs(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage, times: float, reduction: int
) -> None:
    """And tells the same as if it had read all of them."""
    data = enlarged(good_picture, times)
    whole = engine.analyse(data, limits)
    before = whole.tracking(UNTRACKED)
    light = engine.analyse(data, limits, tracking=before, detail=Detail.LIGHT)
    assert whole.rgb.shape[1] == whole.picture.size[0] == light.picture.size[0] == 640 * times
    assert round(light.picture.reduction) == reduction
    assert light.quality.issues == ()
    assert light.box is not None
    assert whole.box is not None
    assert astuple(light.box) == pytest.approx(astuple(whole.box), abs=0.015)
    (seen,), (tracked,) = before.faces, light.tracking(before).faces
    assert shift(seen.region, tracked.region) < 0.03
    assert tracked.region.side == pytest.approx(seen.region.side, rel=0.05)


def test_a_close_look_reads_every_pixel(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage
) -> None:
    """A display's grid is as fine as the pixels."""
    data = enlarged(good_picture, 3)
    view = engine.analyse(data, limits, tracking=engine.analyse(data, limits).tracking(UNTRACKED))
    assert view.picture.reduction == 1


def test_a_frame_of_another_size_is_looked_at_anew(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage
) -> None:
    """Where the face was says nothing then, not even how small the frame may be decoded."""
    before = engine.analyse(enlarged(good_picture, 6), limits).tracking(UNTRACKED)
    view = engine.analyse(encode_jpeg(good_picture), limits, tracking=before, detail=Detail.LIGHT)
    assert view.face is not None
    after = engine.analyse(encode_jpeg(good_picture), limits, tracking=view.tracking(before), detail=Detail.LIGHT)
    assert after.quality.issues == ()
    assert after.picture.reduction == 1


def test_a_large_still_is_decoded_smaller_and_compares_as_before(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage
) -> None:
    data = enlarged(good_picture, 6)
    whole, view = engine.analyse(data, limits), engine.analyse_still(data, limits)
    assert (view.picture.size, view.picture.reduction) == ((3840, 2880), 2)
    assert view.quality.issues == ()
    assert float(recognised(engine.embed(view)) @ recognised(engine.embed(whole))) > 0.99
    assert engine.live_score(view) == pytest.approx(engine.live_score(whole), abs=0.05)


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (3500, 2625)])
def test_a_still_that_may_show_a_face_as_small_as_can_be_compared_is_decoded_whole(size: tuple[int, int]) -> None:
    assert reduction_for_still(Header("JPEG", ContainerHeader(size))) == 1


def test_a_look_at_nobody_has_no_face(engine: FaceRecognitionEngine, limits: ImageLimits) -> None:
    view = engine.analyse(encode_jpeg(np.full((240, 320, 3), 90, np.uint8)), limits)
    assert (view.face, view.box, view.faces) == (None, None, [])
    assert view.quality.issues == (Issue.NO_FACE,)


def test_each_face_is_judged_as_if_it_were_alone(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage
) -> None:
    person = good_picture[:, 120:520]
    view = engine.analyse(encode_jpeg(np.hstack([person, cv2.GaussianBlur(person, (0, 0), 4)])), limits)
    assert set(view.quality.issues) >= {Issue.MULTIPLE_FACES}
    judged = view.each_face()
    by_place = sorted((box.x, quality.issues) for box, quality in judged)
    assert [issues for _, issues in by_place] == [(), (Issue.BLURRY,)]
    assert judged[0][0] == view.box


def test_what_is_no_picture_borrows_nothing(
    engine: FaceRecognitionEngine, limits: ImageLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed: list[object] = []
    monkeypatch.setattr(engine.detector, "safe_process", lambda *frame: processed.append(frame))
    with pytest.raises(InvalidImage):
        engine.analyse(b"no picture", limits)
    assert processed == []


def test_embedding_and_live_score_are_of_the_largest_face(
    engine: FaceRecognitionEngine, limits: ImageLimits, good_picture: RgbImage, hopper_rgb: RgbImage
) -> None:
    near = engine.analyse(encode_jpeg(good_picture, 95), limits)
    far = np.full((480, 256, 3), 128, np.uint8)
    far[-300:] = hopper_rgb[::2, ::2]
    both = engine.analyse(encode_jpeg(np.hstack([good_picture[:, 120:520], far]), 95), limits)
    assert len(both.faces) == 2
    assert float(recognised(engine.embed(both)) @ recognised(engine.embed(near))) > 0.9
    other = FrameView.of(both.picture, both.faces[::-1])
    assert engine.live_score(both) > 0.7 > engine.live_score(other)
    assert float(recognised(engine.embed(other)) @ recognised(engine.embed(near))) < 0.3


def test_two_threads_see_what_one_sees(
    engine: FaceRecognitionEngine, good_picture: RgbImage, hopper_rgb: RgbImage
) -> None:
    frames = [good_picture, hopper_rgb] * 6
    alone = [engine.detector.safe_process(rgb)[0].points for rgb in frames[:2]]
    with ThreadPoolExecutor(4) as executor:
        together = list(executor.map(engine.detector.safe_process, frames))
    assert all(np.array_equal(faces[0].points, alone[index % 2]) for index, faces in enumerate(together))
    assert engine.pool_status().pool_size == engine.pool_status().max_size == 2


def test_frames_do_not_make_threads(engine: FaceRecognitionEngine, good_picture: RgbImage) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208

    engine.detector.safe_process(good_picture)
    before = threads()
    for _ in range(50):
        engine.detector.safe_process(good_picture)
    assert threads() <= before + 1


def test_an_engine_is_warm_when_it_is_loaded_and_gone_when_it_is_closed(model_dir: Path) -> None:
    engine = FaceRecognitionEngine.load(config(model_dir))
    status = engine.pool_status()
    assert (status.pool_size, status.max_size, status.in_use) == (1, 1, 0)
    engine.close()
    engine.close()
    assert engine.pool_status().pool_size == 0


def test_an_engine_without_its_backend_is_not_loaded(model_dir: Path) -> None:
    with pytest.raises(ValueError, match="magic"):
        FaceRecognitionEngine.load(replace(config(model_dir), backend="magic"))


def test_an_engine_without_its_model_is_not_loaded(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="nowhere"):
        FaceRecognitionEngine.load(config(tmp_path / "nowhere"))
