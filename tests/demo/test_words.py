"""The page has a text for every code that the service sends."""

from __future__ import annotations

import re

import pytest

from testkit.service import REPOSITORY
from vocabulary.sessions import Reason

WORDS = (REPOSITORY / "face_recognition_app" / "demo" / "static" / "demo" / "words.js").read_text()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_on_the_page(reason: Reason) -> None:
    table = WORDS.split("const REASONS = {", 1)[1].split("};", 1)[0]
    assert re.search(rf"^  {reason}: .*\.\",$", table, re.MULTILINE)
