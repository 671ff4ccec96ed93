from __future__ import annotations

import pytest

from gallery.stores.makers import MAKERS


@pytest.fixture(params=sorted(MAKERS))
def store_name(request: pytest.FixtureRequest) -> str:
    """Every store in turn: what a store promises is tested once for all."""
    return str(request.param)
