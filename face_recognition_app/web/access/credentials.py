"""Check of a request's bearer token, for what is answered before Django."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from asgiref.typing import HTTPScope

from vocabulary.errors import ErrorCode
from web.refusal import HttpRefusal
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

SEND_CREDENTIALS = "send Authorization: Bearer with an API key or access token"

Authenticate = Callable[[HTTPScope, str], Awaitable[bool]]
"""Returns whether the token entitles its owner to the request. Raises when that cannot be checked now."""


async def check_credentials(scope: HTTPScope, authenticate: Authenticate) -> None:
    """Raises HttpRefusal unless the request carries a token that `authenticate` knows."""
    scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized()
    try:
        known = await authenticate(scope, token)
    except HttpRefusal:
        raise
    except Unavailable as error:  # Logged where it was found.
        raise HttpRefusal(error.code, error.message, retry_after_ms=error.retry_after_ms) from error
    except Exception as error:  # A defect must let nobody in.
        logger.exception("credentials cannot be checked")
        raise HttpRefusal(ErrorCode.UNAVAILABLE, "credentials cannot be checked now", retry_after_ms=2_000) from error
    if not known:
        raise _unauthorized()


def _unauthorized() -> HttpRefusal:
    return HttpRefusal(ErrorCode.UNAUTHORIZED, SEND_CREDENTIALS, ((b"www-authenticate", b"Bearer"),))
