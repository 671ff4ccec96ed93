"""What the reload bench takes for an answer, a sample or a decision that counted twice."""

from __future__ import annotations

from bench.reload.ledger import Ledger
from testkit.stream_client import Message


def answer(seq: int, accepted: int = 0, steps_done: int = 0, dropped: int = 0) -> Message:
    return {
        "type": "frame_processed",
        "seq": seq,
        "dropped": dropped,
        "samples": {"accepted": accepted, "target": 5},
        "liveness": {"steps_done": steps_done},
    }


def result(token: str = "signed") -> Message:
    return {"type": "enrollment_complete", "success": True, "decision_token": token}


def mistakes(*connections: list[Message], sent: int = 5) -> list[str]:
    ledger = Ledger()
    for messages in connections:
        ledger.connected()
        for _ in range(sent):
            ledger.sent()
        for message in messages:
            ledger.told(message)
    return ledger.mistakes


def test_what_is_right() -> None:
    first = [answer(1, 1), answer(3, 2, 1, dropped=1), {"type": "error", "code": "busy", "seq": 4}]
    assert mistakes(first, [answer(1, 4, 1, dropped=0), answer(2, 5, 2), result()], [result()]) == []


def test_a_frame_that_is_answered_twice_or_was_never_sent() -> None:
    assert mistakes([answer(1), answer(2), answer(2)]) == ["frame 2 was answered after 2"]
    assert mistakes([answer(2), {"type": "error", "code": "busy", "seq": 1}]) == ["frame 1 was answered after 2"]
    assert mistakes([answer(6)]) == ["frame 6 was answered, and 5 were sent"]


def test_a_sample_or_a_step_that_counts_twice() -> None:
    assert mistakes([answer(1, 1), answer(2, 3)]) == ["samples went from 1 to 3, with 1 frames"]
    assert mistakes([answer(1, 0, 2)]) == ["steps went from 0 to 2, with 1 frames"]
    assert mistakes([answer(1, 1)], [answer(1, 4)], sent=2) == ["samples went from 1 to 4, with 2 frames"]


def test_what_was_told_and_is_gone() -> None:
    assert mistakes([answer(1, 1)], [answer(1, 0)]) == ["samples went from 1 to 0, with 5 frames"]


def test_a_second_decision() -> None:
    assert mistakes([result(), result()]) == ["the result was told twice on one connection"]
    assert mistakes([result()], [result("another")]) == ["the result is not that of the connection before"]
