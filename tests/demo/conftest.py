from __future__ import annotations

from playwright.sync_api import expect

from testkit.patience import PATIENCE_S

expect.set_options(timeout=1_000 * PATIENCE_S)
