"""How long tests wait for what must happen."""

from __future__ import annotations

PATIENCE_S = 90.0
"""So long that only what never happens takes it, on a busy machine too. No test asserts that something is quicker."""
