"""Which sample of an enrolment is left out."""

from __future__ import annotations

import pytest

from gallery.upkeep.selection import NEARLY_THE_SAME, least_useful
from tests.gallery.faces import face, picture

FIRST, OTHER, TWIN = face(1), picture(face(1), 0.7), picture(face(1), NEARLY_THE_SAME + 0.05, 1)


@pytest.mark.parametrize(
    ("qualities", "left_out"),
    [((0.9, 0.2, 0.8), 2), ((0.7, 0.2, 0.8), 0), ((0.8, 0.2, 0.8), 2)],
)
def test_of_two_that_are_nearly_the_same_the_poorer_goes_however_poor_others_are(
    qualities: tuple[float, ...], left_out: int
) -> None:
    assert least_useful([FIRST, OTHER, TWIN], qualities) == left_out


@pytest.mark.parametrize(("qualities", "left_out"), [((0.9, 0.2, 0.8), 1), ((0.5, 0.6, 0.5), 2)])
def test_of_different_ones_the_poorest_goes(qualities: tuple[float, ...], left_out: int) -> None:
    assert least_useful([FIRST, OTHER, picture(face(1), 0.7, 2)], qualities) == left_out
