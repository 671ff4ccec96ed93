"""Errors that have been answered, and what they keep."""

from __future__ import annotations


def let_go(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and of those behind it: it was told, and logged if it had to be.

    An error and the frames that it went through keep each other, and with them the picture that was refused, until the
    garbage collector runs, which counts objects and not bytes.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
