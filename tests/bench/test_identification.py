"""Rates of identification, on faces whose similarities are known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.identification.__main__ import Report, main, table
from bench.identification.rest import Searched
from bench.identification.scores import Picture, Point, held_out, probes_of
from core.features.embedder.profile import PINNED
from gallery.rates.identification_rates import Rate
from gallery.thresholds import threshold_for
from tests.gallery.faces import face, picture


def test_the_first_picture_is_enrolled_and_the_others_are_probes() -> None:
    ann, bob = face(1), face(2)
    pictures = [Picture("ann", ann), Picture("bob", bob), Picture("ann", picture(ann, 0.7)), Picture("cid", face(3))]
    probes = probes_of(pictures)
    assert (probes.enrolled, len(probes.own)) == (3, 1)
    assert probes.own == pytest.approx([0.7], abs=1e-5)
    assert probes.other[0] < 0.2, "without its person's template"
    for threshold, missed in ((0.69, 0), (0.71, 1)):
        assert probes.at("any", 1e-3, threshold).fnir == Rate(missed, 1)
    assert probes.at("any", 1e-3, -1.0).fpir == Rate(1, 1)


def test_somebody_else_before_them_is_a_miss() -> None:
    ann = face(1)
    likeness = picture(ann, 0.6)
    twins = [Picture("ann", ann), Picture("bob", picture(likeness, 0.95, 1)), Picture("ann", likeness)]
    assert probes_of(twins).at("any", 1e-3, 0.5).fnir == Rate(1, 1)


def test_the_calibrated_threshold_lets_no_more_than_the_target_pass() -> None:
    pictures = [Picture(str(n % 100), face(n)) for n in range(300)]
    probes = probes_of(pictures)
    for target, passed in ((0.1, 20), (0.011, 2), (1e-3, 0)):
        assert probes.calibrated(target).fpir == Rate(passed, 200)
    shipped = probes.by_rule("shipped", 1e-3, PINNED)
    assert shipped.threshold == threshold_for(1e-3, 100)
    assert shipped.fnir == Rate(200, 200)


def test_a_rule_is_tested_on_people_on_whom_it_was_not_measured() -> None:
    pictures = [Picture(str(n % 400), face(n)) for n in range(800)]
    found = {(point.rule, point.target): point for point in held_out(pictures, (0.1,), draws=2)}
    assert found["held out", 0.1].fpir.tries == 2 * 400, "each half of each draw once"
    assert found["held out", 0.1].fpir.value == pytest.approx(0.1, abs=0.05)
    assert found["held out", 0.1].threshold < PINNED.similarity[0]


def report(*, missed: int, false: int) -> Report:
    points = [
        Point(rule, target, 0.5, Rate(false if rule == "shipped" else 1, 1000), Rate(count, 1000))
        for target in (1e-2, 1e-3)
        for rule, count in (("shipped", missed), ("calibrated", 100))
    ]
    return Report(3, points, [], [], Searched(3, 1, Rate(0, 5), Rate(1, 4)))


def test_the_bars_are_told() -> None:
    assert report(missed=114, false=1).missed == []
    assert len(report(missed=116, false=1).missed) == 2
    told = table(report(missed=100, false=30))
    assert "false positives are more than the 1e-03 that is meant" in told
    assert "through REST, 3 people enrolled, 1 refused" in told


def test_without_pictures_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.identification.__main__.has_clips", lambda name: False)
    assert main([]) == 2


def test_a_rate_without_tries_is_unknown() -> None:
    assert np.isnan(Rate(0, 0).value)
    assert (Rate(0, 0).low, Rate(0, 0).high) == (0.0, 1.0)
