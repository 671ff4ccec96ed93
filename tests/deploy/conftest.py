from __future__ import annotations

import pytest

from tests.deploy import promtool as prometheus


@pytest.fixture(scope="session")
def promtool() -> str:
    return prometheus.found()
