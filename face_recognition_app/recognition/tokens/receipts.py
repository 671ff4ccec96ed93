"""What a receipt of an erasure says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RECEIPT_HEADER = "x-erasure-receipt"
"""Header of the answer: a 204 has no body, and clients of older versions need not know it."""

Why = Literal["requested", "unseen"]


@dataclass(frozen=True, slots=True)
class Erased:
    """Number of rows that were erased. `sessions` are deleted with their decisions, or ended and made anonymous."""

    templates: int
    sessions: int
    consents: int
    known_devices: int
    failed_attempts: int


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """`subject`: the random reference that stood for the person in the audit trail, and stands for nobody any more.
    `unread_feedback`: rejected pictures (gallery.feedback) kept with other subjects that may show the person, and stay,
    since they could not be compared with the face. `audit`: SEQUENCE:HASH of the entry that records the erasure."""

    tenant: str
    subject: str
    why: Why
    erased: Erased
    unread_feedback: int
    audit: str
