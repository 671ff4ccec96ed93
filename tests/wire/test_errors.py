from __future__ import annotations

import pickle

import pytest

from vocabulary.errors import ErrorCode
from wire import errors
from wire.errors import WireError

TABLE = [
    (errors.InvalidMessage("m", 5), "invalid_message", 4400, False),
    (errors.ChallengeUnsupported("m", 5), "challenge_unsupported", 4400, False),
    (errors.UnusableFrame("m", ErrorCode.UNSUPPORTED_FORMAT), "unsupported_format", None, True),
    (errors.Busy("m", 5), "busy", None, True),
    (errors.UnknownToken("m", 5), "unknown_token", 4401, False),
    (errors.Refused("m", 5), "refused", 4403, False),
    (errors.Idle("m", 5), "idle", 4408, True),
    (errors.Replaced("m", 5), "replaced", 4409, False),
    (errors.TooFast("m", 5), "too_fast", 4429, True),
    (errors.Overloaded("m", 5), "overloaded", 1013, True),
    (errors.Unavailable("m", 5), "unavailable", 1013, True),
    (errors.MustWait("m", 5), "attempts_exceeded", 4429, True),
    (errors.InternalError("m", 5), "internal", 1011, True),
]


@pytest.mark.parametrize(("error", "code", "close_code", "retryable"), TABLE, ids=lambda value: type(value).__name__)
def test_an_error_says_what_a_client_needs_and_survives_pickling(
    error: WireError, code: str, close_code: int | None, retryable: bool
) -> None:
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert type(each) is type(error)
        assert (each.code, each.close_code, each.retryable) == (code, close_code, retryable)
        assert each.message == "m"
        assert each.retry_after_ms == error.retry_after_ms


def test_the_table_has_every_error() -> None:
    assert {type(error) for error, *_ in TABLE} == set(WireError.__subclasses__())


def test_the_docstring_draws_every_error() -> None:
    assert errors.__doc__
    assert [error for error, *_ in TABLE if type(error).__name__ not in errors.__doc__] == []
