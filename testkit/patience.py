"""How long tests wait for what must happen."""

from __future__ import annotations

PATIENCE_S = 90.0
"""Time-out that only what never happens reaches, on a busy machine too."""
