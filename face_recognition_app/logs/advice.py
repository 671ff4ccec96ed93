"""Advice to the operator."""

from __future__ import annotations

import logging
from functools import cache


@cache
def warn_once(logger: logging.Logger, advice: str) -> None:
    """Log `advice` as a warning, once in each process. It must be a constant: each is remembered."""
    logger.warning(advice)
