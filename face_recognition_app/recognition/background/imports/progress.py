"""How far an import is: its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(slots=True)
class Progress:
    """`after`: the person up to whom everybody is done. `subjects`: people of whom a picture was enrolled; the others
    count pictures.

    `report`: where the report is in the end, `part`: where the last run has written it, `written`: the bytes of that
    which are true. `alone`: whether one picture at a time is analysed, since the engine's process has died of one of
    several. `deadly`: SHA-256 of pictures of which it has died.
    """

    after: str | None = None
    enrolled: int = 0
    subjects: int = 0
    rejected: int = 0
    already_there: int = 0
    report: str = ""
    part: str = ""
    written: int = 0
    alone: bool = False
    deadly: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, checkpoint: Any) -> Self:
        return cls() if checkpoint is None else cls(**checkpoint)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
