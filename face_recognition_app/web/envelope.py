"""The body and headers of every error over HTTP."""

from __future__ import annotations

from typing import Any

from config.durations import whole_seconds
from vocabulary.errors import ServiceError


def envelope(error: ServiceError, request_id: str) -> dict[str, Any]:
    """The JSON body of an error."""
    error_fields = {"code": error.code, "message": error.message, "details": _details(error)}
    return {"error": error_fields, "request_id": request_id}


def waiting_headers(error: ServiceError) -> dict[str, str]:
    """`Retry-After`, where waiting helps."""
    return {} if error.retry_after_ms is None else {"Retry-After": str(whole_seconds(error.retry_after_ms))}


def _details(error: ServiceError) -> Any:
    if error.retry_after_ms is None:
        return error.details
    return {**(error.details or {}), "retry_after_ms": error.retry_after_ms}
