"""What was measured of an embedder stands beside it, and holds for it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError
from core.features.embedder.profile import PINNED, profile_path, read_profile, write_profile
from gallery.thresholds import same_person, threshold_for

STRICTER = replace(PINNED, similarity=tuple(one + 0.1 for one in PINNED.similarity))


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    network = tmp_path / "other.onnx"
    write_profile(network, STRICTER)
    assert read_profile(network) == STRICTER


@pytest.mark.parametrize("text", [None, "", "{}", '{"sha256":"0","fmr":[0.01],"similarity":[0.3]}'])
def test_without_a_profile_an_embedder_is_refused_with_what_to_do(tmp_path: Path, text: str | None) -> None:
    network = tmp_path / "other.onnx"
    if text is not None:
        profile_path(network).write_text(text)
    with pytest.raises(ModelError, match=r"python -m bench\.embedder"):
        read_profile(network)


def test_rates_and_similarities_must_go_together() -> None:
    for fault in ({"fmr": (1e-2, 1e-3)}, {"fmr": (1e-3, 1e-2, 1e-4, 1e-5)}, {"similarity": (0.5,) * 4}):
        with pytest.raises(ValueError, match="fmr must fall"):
            replace(PINNED, **fault)


def test_a_tail_has_a_scale() -> None:
    for scale in (0.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="tail_scale"):
            replace(PINNED, tail_scale=scale)


def test_thresholds_are_those_of_the_embedder_in_use() -> None:
    for target in (1e-2, 3e-4, 1e-6, 1e-9):
        assert threshold_for(target, 1, STRICTER) == pytest.approx(threshold_for(target, 1) + 0.1)
    assert same_person(STRICTER) == pytest.approx(same_person() + 0.1)
