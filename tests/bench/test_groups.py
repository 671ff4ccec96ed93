"""Error rates of a group: every picture with every other."""

from __future__ import annotations

import numpy as np
import pytest

from bench.verification.groups import error_rates, women


def test_rates_are_of_all_pairs() -> None:
    vectors = np.eye(4, dtype=np.float32)
    near = np.asarray((vectors[0] + vectors[1]) / np.sqrt(2), np.float32)
    pictures = [("ann", vectors[0]), ("ann", vectors[0]), ("ann", vectors[3]), ("bob", vectors[1]), ("cid", near)]
    rates = error_rates(pictures, threshold=0.7)
    assert (rates.people, rates.impostor_pairs, rates.genuine_pairs) == (3, 7, 3)
    assert rates.fmr == pytest.approx(3 / 7)
    assert rates.fnmr == pytest.approx(2 / 3)


def test_nobody_has_no_rates() -> None:
    rates = error_rates([], threshold=0.5)
    assert np.isnan(rates.fmr)
    assert np.isnan(rates.fnmr)


def test_women_are_named_as_their_folders() -> None:
    assert {"Laura_Bush", "Kate_Winslet"} <= women()
    assert "George_W_Bush" not in women()
