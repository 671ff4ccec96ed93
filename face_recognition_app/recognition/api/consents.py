"""A consent in a form: the field `consent`, as JSON."""

from __future__ import annotations

from pydantic import ValidationError

from gallery.consents import GivenConsent
from recognition.api.errors import ApiError
from recognition.api.schemas import NewConsent
from vocabulary.errors import ErrorCode

CONSENT_FORM = "JSON `{text, version}`: the words that the person agreed to, as in a session."


def consent_in_form(field: str | None) -> GivenConsent | None:
    """Raises ApiError."""
    if field is None:
        return None
    try:
        return NewConsent.model_validate_json(field).given("rest")
    except ValidationError as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "consent: send JSON with text and version") from error
