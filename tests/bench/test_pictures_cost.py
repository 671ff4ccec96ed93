"""The bench of pictures' cost: its corpus is reproducible, and a crashed decoder is reported."""

from __future__ import annotations

import json
import os
import signal
from multiprocessing.connection import Connection

import pytest

from bench.pictures_cost import __main__
from bench.pictures_cost.__main__ import BAR, Ordinary, Report, Run, Sample, kind_of, measure, text
from bench.pictures_cost.corpus import SIZES, ordinary, picture


def test_a_number_gives_the_same_picture_every_time() -> None:
    first = [picture(number, seed=3) for number in range(1, 30)]
    assert first == [picture(number, seed=3) for number in range(1, 30)]
    assert first != [picture(number, seed=4) for number in range(1, 30)]


def test_a_small_run_counts_every_picture(capsys: pytest.CaptureFixture[str]) -> None:
    __main__.main(["--count", "24", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["pictures"] == report["accepted"] + sum(report["refused"].values()) == 24
    assert report["crashed"] == []
    assert report["accepted"] > 0
    assert report["ordinary_ms"].keys() == __main__.KINDS.keys()
    assert report["peak_mb"] > 0


def test_the_kind_is_that_of_the_encoder() -> None:
    for kind, encoder in __main__.KINDS.items():
        data = ordinary(encoder, SIZES[1])
        header = "JPEG" if "JPEG" in kind else "WEBP" if "WebP" in kind else kind
        assert kind_of(data, header) == kind


def dying(number: int, seed: int, ordinary_pictures: Ordinary) -> Sample:
    if number in (1, 4):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(number, seed, ordinary_pictures)


def dying_child(start: int, stop: int, seed: int, answers: Connection) -> None:
    __main__.measure = dying
    __main__._child(start, stop, seed, answers)


def test_a_picture_that_takes_the_process_down_is_told_and_the_others_are_measured() -> None:
    report = Run(6, seed=1, child=dying_child).report()
    assert report.crashed == [1, 4]
    assert report.accepted + sum(report.refused.values()) == 4
    assert not report.holds
    assert "DOES NOT HOLD" in text(report)


def test_one_picture_beyond_the_bar_is_enough() -> None:
    within, beyond = (Sample(7, 100, "", 1.0, "PNG", 10, BAR + more) for more in (-1, 1))
    for worst, holds in (([within], True), ([beyond, within], False)):
        assert Report(2, 2, {}, [], worst, worst[0], None, {}, 1.0).holds is holds
