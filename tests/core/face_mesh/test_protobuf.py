"""Messages, field by field."""

from __future__ import annotations

import struct

import pytest

from core.face_mesh import protobuf


def test_fields_of_every_kind_are_read() -> None:
    packed = b"\x1a\x08" + struct.pack("<2f", 1.5, -2.0)
    single = b"\x25" + struct.pack("<f", 0.25)
    message = protobuf.read(b"\x08\x96\x01" + packed + single + b"\x29" + bytes(8))
    assert message.number(1) == 150
    assert message.floats(3) == (1.5, -2.0)
    assert message.floats(4) == (0.25,)
    assert message.parts(5) == [bytes(8)]


@pytest.mark.parametrize("broken", [b"\x1a\x08abc", b"\x08", b"\x0b"])
def test_what_is_no_message_is_refused(broken: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        protobuf.read(broken)
