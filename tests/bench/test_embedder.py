"""The profile of an embedder, from faces whose similarities are known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.embedder import Shown, TooFewFaces, main, profile_of, table


def faces(count: int, covered: bool) -> list[Shown]:
    rng = np.random.default_rng(int(covered))
    return [Shown(f"person {n}", 3 * rng.normal(0, 1, 64).astype(np.float32), covered) for n in range(count)]


def test_a_profile_says_what_impostors_reach() -> None:
    plain = faces(600, covered=False)
    profile = profile_of("0" * 64, [*plain, *faces(60, covered=True)])
    vectors = np.array([face.vector / np.linalg.norm(face.vector) for face in plain])
    reached = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    for rate, similarity in zip(profile.fmr, profile.similarity, strict=True):
        assert (reached >= similarity).mean() == pytest.approx(rate, rel=0.5)
    assert profile.fmr[-1] == 1e-4, "of 180,000 pairs no smaller rate can be measured"
    assert profile.least_length < min(np.linalg.norm(face.vector) for face in plain)
    assert profile.another_person < profile.similarity[0]
    assert "another person below" in table(profile)


def test_of_few_faces_nothing_is_measured() -> None:
    with pytest.raises(TooFewFaces, match="smaller --every"):
        profile_of("0" * 64, [*faces(20, covered=False), *faces(5, covered=True)])


def test_without_pictures_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.embedder.has_clips", lambda name: False)
    assert main(["network.onnx"]) == 2
