from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from wire.errors import InvalidMessage, TooFast, UnusableFrame
from wire.inbound import BadFrame, Cancel, Event, Frame, Ping, RateLimit, WireSession

MAX_BYTES = 1000
PICTURE = b"\xff\xd8\xff\xfb\xf0 and the rest, which takes more than one line of MIME: 57 bytes"
BASE64 = base64.b64encode(PICTURE).decode()
FLAVOURS = {
    "standard": BASE64,
    "without padding": BASE64.rstrip("="),
    "URL-safe": base64.urlsafe_b64encode(PICTURE).decode(),
    "URL-safe without padding": base64.urlsafe_b64encode(PICTURE).decode().rstrip("="),
    "in lines": base64.encodebytes(PICTURE).decode(),
    "in lines of MIME": base64.encodebytes(PICTURE).decode().replace("\n", "\r\n"),
    "data URL": f"data:image/jpeg;base64,{BASE64}",
    "data URL without a type": f"data:;base64,{BASE64}",
    "data URL with a parameter": f"data:image/jpeg;charset=utf-8;base64,{BASE64}",
    "data URL in capitals": f"DATA:IMAGE/JPEG;BASE64,{BASE64}",
    "data URL in per cent": f"data:image/jpeg;base64,{quote(BASE64, safe='')}",
}


@pytest.fixture
def session() -> WireSession:
    return WireSession(MAX_BYTES, RateLimit(per_second=60, patience_s=5))


def text(**fields: object) -> str:
    return json.dumps({"type": "frame", "image": BASE64} | fields)


def refused(event: Event) -> tuple[int, str]:
    """The number and the code of a frame that was refused."""
    assert isinstance(event, BadFrame)
    assert isinstance(event.error, UnusableFrame)
    assert event.error.close_code is None
    return event.seq, event.error.code


def test_a_binary_message_is_a_picture(session: WireSession) -> None:
    assert session.receive_bytes(PICTURE, 12.5) == Frame(1, PICTURE, 12.5)


@pytest.mark.parametrize("image", FLAVOURS.values(), ids=FLAVOURS)
def test_a_text_frame_carries_base64_or_a_data_url(session: WireSession, image: str) -> None:
    assert session.receive_text(text(image=image), 12.5) == Frame(1, PICTURE, 12.5)


def test_frames_are_numbered_by_seq_or_in_order_of_arrival(session: WireSession) -> None:
    events = [
        session.receive_bytes(PICTURE, 0),
        session.receive_text(text(), 0),
        session.receive_text(text(seq=700), 0),
        session.receive_text(text(seq=0), 0),
        session.receive_text(text(image="?"), 0),
        session.receive_bytes(PICTURE, 0),
    ]
    assert [event.seq for event in events if isinstance(event, Frame | BadFrame)] == [1, 2, 700, 0, 5, 6]


def test_what_is_no_frame_takes_no_number(session: WireSession) -> None:
    session.receive_text('{"type":"ping"}', 0)
    assert session.receive_bytes(PICTURE, 0) == Frame(1, PICTURE, 0)


def test_a_null_seq_is_no_seq(session: WireSession) -> None:
    assert session.receive_text(text(seq=None), 0) == Frame(1, PICTURE, 0)


@pytest.mark.parametrize("image", ["not base64!", "é" + BASE64, f"{BASE64[:4]}={BASE64[4:]}", "abcde", "data:,a?"])
def test_wrong_base64_refuses_the_frame_and_keeps_the_session(session: WireSession, image: str) -> None:
    assert refused(session.receive_text(text(image=image, seq=7), 0)) == (7, "invalid_image")
    assert session.receive_bytes(PICTURE, 0) == Frame(2, PICTURE, 0)


def test_a_frame_may_have_as_many_bytes_as_are_allowed(session: WireSession) -> None:
    fits = bytes(MAX_BYTES)
    assert session.receive_bytes(fits, 0) == Frame(1, fits, 0)
    assert session.receive_text(text(image=base64.b64encode(fits).decode()), 0) == Frame(2, fits, 0)


def test_one_byte_more_refuses_the_frame_and_keeps_the_session(session: WireSession) -> None:
    too_large = bytes(MAX_BYTES + 1)
    assert refused(session.receive_bytes(too_large, 0)) == (1, "image_too_large")
    encoded = base64.b64encode(too_large).decode()
    assert refused(session.receive_text(text(image=encoded, seq=9), 0)) == (9, "image_too_large")


def test_ping_and_cancel_are_understood(session: WireSession) -> None:
    assert session.receive_text('{"type":"ping"}', 0) == Ping()
    assert session.receive_text('{"type":"cancel"}', 0) == Cancel()


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[" * 100_000, "recursion limit"),
        ("7", "object"),
        ("{}", "type"),
        ('{"type":"picture"}', "'picture'"),
        ('{"type":"pong"}', "'pong'"),
        ('{"type":"frame"}', "frame.image: Field required"),
        (text(image=7), "frame.image: Input should be a valid string"),
        (text(seq=-1), "frame.seq: Input should be greater than or equal to 0"),
        (text(seq=2**53 + 1), "frame.seq: Input should be less than or equal to"),
        (text(seq=1.5), "frame.seq: Input should be a valid integer"),
        (text(seq="one"), "frame.seq: Input should be a valid integer"),
    ],
)
def test_text_outside_the_protocol_is_refused_with_what_is_wrong(
    session: WireSession, message: str, complaint: str
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        session.receive_text(message, 0)
    assert complaint in caught.value.message


@pytest.mark.parametrize("message", [json.dumps({"type": "a" * 100_000})])
def test_a_refusal_does_not_send_a_clients_megabytes_back(session: WireSession, message: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        session.receive_text(message, 0)
    assert len(caught.value.message) <= 200


def test_what_a_newer_client_adds_is_ignored(session: WireSession) -> None:
    assert session.receive_text('{"type":"ping","now":1}', 0) == Ping()


def test_a_flood_ends_the_connection_whatever_it_consists_of(session: WireSession) -> None:
    messages = [lambda: session.receive_bytes(PICTURE, 0), lambda: session.receive_text('{"type":"ping"}', 0)]
    for number in range(300):
        messages[number % 2]()
    with pytest.raises(TooFast):
        messages[0]()


def test_the_allowed_rate_can_be_kept_up_for_ever() -> None:
    limit = RateLimit(per_second=10, patience_s=5)
    for number in range(10_000):
        limit.count(number / 10)


def flood(limit: RateLimit, moments: Iterable[float]) -> None:
    for now in moments:
        limit.count(now)


def test_a_burst_is_borne_for_as_long_as_the_patience_lasts() -> None:
    limit = RateLimit(per_second=10, patience_s=5)
    for number in range(95):
        limit.count(number / 20)
    with pytest.raises(TooFast):
        flood(limit, (number / 20 for number in range(95, 106)))


def test_a_pause_makes_up_for_a_burst() -> None:
    limit = RateLimit(per_second=10, patience_s=1)
    for _ in range(10):
        limit.count(0.0)
    with pytest.raises(TooFast):
        limit.count(0.0)
    for _ in range(9):
        limit.count(2.0)
