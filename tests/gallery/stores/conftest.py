from __future__ import annotations

import pytest


@pytest.fixture(params=["exact", "usearch"])
def store_name(request: pytest.FixtureRequest) -> str:
    """Every store with an index of files: what it promises is tested once for both."""
    return str(request.param)
