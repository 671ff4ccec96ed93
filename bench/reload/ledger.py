"""What one session was told over all its connections, and what of that cannot be right."""

from __future__ import annotations

from dataclasses import dataclass, field

from testkit.stream_client import Message


@dataclass(slots=True)
class Ledger:
    """Call `connected`, `sent` and `told` as it happens; `mistakes` are sentences.

    Each frame of a connection has at most one answer, in order. Samples and steps never fall, and each frame adds one
    at most. The result is told once on a connection, and is the same on each.
    """

    mistakes: list[str] = field(default_factory=list)
    decision: Message | None = None
    last_error: str = ""
    accepted: int = 0
    steps_done: int = 0
    _sent: int = 0
    _answered: int = 0
    _dropped: int = 0
    _last_seq: int = 0
    _lost: int = 0
    """Frames without an answer of former connections: each may have counted."""
    _told_here: bool = False

    def connected(self) -> None:
        self._lost += self._sent - self._answered - self._dropped
        self._sent = self._answered = self._dropped = self._last_seq = 0
        self._told_here = False

    def sent(self) -> None:
        self._sent += 1

    def told(self, message: Message) -> None:
        kind = str(message["type"])
        if kind == "frame_processed":
            self._answer(message["seq"])
            self._dropped = message["dropped"]
            self._counts(message)
        elif kind == "error":
            self.last_error = message["code"]
            if message.get("seq") is not None:
                self._answer(message["seq"])
        elif kind.endswith("_complete"):
            self._result(message)

    def _answer(self, seq: int) -> None:
        self._answered += 1
        if seq <= self._last_seq:
            self.mistakes.append(f"frame {seq} was answered after {self._last_seq}")
        self._last_seq = max(seq, self._last_seq)
        if seq > self._sent:
            self.mistakes.append(f"frame {seq} was answered, and {self._sent} were sent")

    def _counts(self, message: Message) -> None:
        most = 1 + self._lost
        self._lost = 0
        if (samples := message["samples"]) is not None:
            self._grows("samples", self.accepted, samples["accepted"], most)
            self.accepted = samples["accepted"]
        if (liveness := message["liveness"]) is not None:
            self._grows("steps", self.steps_done, liveness["steps_done"], most)
            self.steps_done = liveness["steps_done"]

    def _grows(self, name: str, before: int, after: int, most: int) -> None:
        if not before <= after <= before + most:
            self.mistakes.append(f"{name} went from {before} to {after}, with {most} frames")

    def _result(self, message: Message) -> None:
        if self._told_here:
            self.mistakes.append("the result was told twice on one connection")
        if self.decision is not None and self.decision["decision_token"] != message["decision_token"]:
            self.mistakes.append("the result is not that of the connection before")
        self.decision, self._told_here = message, True
