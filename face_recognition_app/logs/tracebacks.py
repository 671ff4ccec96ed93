"""Memory that errors keep after they have been answered."""

from __future__ import annotations


def let_go(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and its causes, once it has been answered and logged.

    An error and its stack frames refer to each other, and keep the refused picture until the garbage collector runs,
    which counts objects, not bytes.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
