"""Attack streams are reproducible, show what they claim, and never mix tuning with test people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import get_args

import numpy as np
import pytest

from core.types import RgbImage
from testkit import clips
from testkit.attacks import ATTACKS, BONA_FIDE, MAKERS, RESPONDING, Split, attack_streams, bona_fide_streams
from testkit.attacks.people import movers, photographed, split_of
from testkit.attacks.stage.meshes import mesh
from testkit.attacks.stage.stream import NEUTRAL, generator

pytestmark = pytest.mark.skipif(
    not clips.shared_data_available(), reason=f"no shared data in {clips.SHARED_DATA} (SHARED_DATA_DIR)"
)
SPLITS: tuple[Split, ...] = get_args(Split)


@pytest.fixture(scope="module", autouse=True)
def close_mesh() -> Iterator[None]:
    yield
    mesh().close()
    mesh.cache_clear()


def first(frames: Iterator[RgbImage], count: int) -> list[RgbImage]:
    return list(islice(frames, count))


@pytest.mark.parametrize("species", list(MAKERS))
def test_a_stream_is_the_same_each_time(species: str) -> None:
    one, other = MAKERS[species]("tuning", 1), MAKERS[species]("tuning", 1)
    assert (one.person, one.jpeg_quality, one.repertoire) == (other.person, other.jpeg_quality, other.repertoire)
    shown = first(one.frames(), 3)
    assert len(shown) == 3
    assert all(frame.dtype == np.uint8 and frame.ndim == 3 for frame in shown)
    for frame, again, anew in zip(shown, first(one.frames(), 3), first(other.frames(), 3), strict=True):
        np.testing.assert_array_equal(frame, again)
        np.testing.assert_array_equal(frame, anew)


def test_other_tries_are_other_streams() -> None:
    one, other = (first(stream.frames(), 1)[0] for stream in islice(attack_streams("tuning", "print", 2), 2))
    assert np.abs(one.astype(int) - other).mean() > 5


def test_chance_depends_on_every_name() -> None:
    assert generator("print", "Ann", 1).integers(2**40) == generator("print", "Ann", 1).integers(2**40)
    assert generator("print", "Ann", 1).integers(2**40) != generator("print", "Ann", 2).integers(2**40)


def test_nobody_is_in_both_halves() -> None:
    moving = {split: {mover.person for mover in movers(split)} for split in SPLITS}
    pictured = {split: set(photographed(split)) for split in SPLITS}
    assert [len(people) for people in moving.values()] == [6, 6]
    assert not moving["tuning"] & moving["test"]
    assert not pictured["tuning"] & pictured["test"]
    assert min(len(people) for people in pictured.values()) > 300


def test_the_speaker_of_two_clips_is_one_person() -> None:
    (speaker,) = (mover for mover in movers(split_of("pwij3p")) if mover.person == "pwij3p")
    assert {clip.name for clip in speaker.clips} == {"pwij3p", "id2_vcd_swwp2s"}
    assert all(mover.person != "id2_vcd_swwp2s" for split in SPLITS for mover in movers(split))


@pytest.mark.parametrize("split", SPLITS)
def test_streams_show_people_of_their_half_only(split: Split) -> None:
    streams = [stream for species in ATTACKS for stream in attack_streams(split, species, 3)]
    streams += [stream for species in BONA_FIDE for stream in bona_fide_streams(split, 3, species)]
    assert {split_of(stream.person) for stream in streams} == {split}


@pytest.mark.parametrize("species", list(MAKERS))
def test_who_responds_is_known(species: str) -> None:
    stream = MAKERS[species]("tuning", 0)
    assert stream.responds == (species in RESPONDING)
    assert all(NEUTRAL in takes for takes in stream.stages)


def test_an_obedient_stream_does_what_is_asked_in_order() -> None:
    streams = (MAKERS["puppet_obeys"]("tuning", index) for index in range(40))
    stream = next(stream for stream in streams if {"turn_left", "turn_right"} <= stream.repertoire)
    yaws = [
        faces[0].pose.yaw for frame in stream.answer(["turn_left", "turn_right"]) if (faces := mesh().process(frame))
    ]
    away = np.array(yaws) - np.median(yaws)
    assert away.max() > 12
    assert away.min() < -12
    assert int(away.argmax()) < int(away.argmin())


def test_a_stream_cannot_be_asked_for_what_it_has_not() -> None:
    with pytest.raises(KeyError):
        list(MAKERS["bona_fide_active"]("tuning", 0).answer(["stand_on_one_leg"]))


@pytest.mark.parametrize("index", range(4))
def test_a_swap_keeps_the_size_of_the_frame(index: int) -> None:
    stream = MAKERS["swap"]("tuning", index)
    begins = [next(stream.frames()), *(next(frames()) for takes in stream.stages for frames in takes.values())]
    assert len({frame.shape for frame in begins}) == 1


def test_a_frozen_stream_stands_still_and_goes_on() -> None:
    stream = MAKERS["frozen"]("tuning", 0)
    frames = list(stream.frames())
    same = [np.array_equal(a, b) for a, b in pairwise(frames)]
    assert all(same[stream.attack_begins : stream.attack_begins + 15])
    assert not any(same[: stream.attack_begins - 1])
    assert not same[-1]
