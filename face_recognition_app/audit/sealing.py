"""Keyed digests of entries and heads. They cannot be made by whoever writes the database and has no key.

The key is `keys/audit-key` in the data directory, 32 random bytes. It must be kept as long as the entries.
"""

from __future__ import annotations

import hmac
import json
import secrets
from datetime import UTC
from functools import lru_cache
from pathlib import Path

from audit.models import AuditEntry, AuditHead
from config.secret import read_or_make
from config.service import service_settings

KEY_FILE = "audit-key"
KEY_BYTES = 32


def entry_hash(entry: AuditEntry, previous_hash: str) -> str:
    """HMAC-SHA256, hexadecimal, over all fields and the hash of the entry before."""
    fields = [
        entry.tenant_id,
        entry.sequence,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.kind,
        entry.reference,
        entry.actor_kind,
        entry.actor_reference,
        entry.actor_name,
        entry.request_id,
        entry.details,
    ]
    return _digest("entry", [*fields, previous_hash])


def head_signature(head: AuditHead) -> str:
    """HMAC-SHA256, hexadecimal. Of a chain that was never begun anew it is that of versions that knew no `begun`."""
    fields = [head.tenant_id, head.sequence, head.hash, head.anchor_sequence, head.anchor_hash]
    return _digest("head", [*fields, *([head.begun] if head.begun else [])])


def is_signed(head: AuditHead) -> bool:
    return hmac.compare_digest(head.signature, head_signature(head))


def _digest(purpose: str, fields: list[object]) -> str:
    content = json.dumps([purpose, *fields], sort_keys=True, separators=(",", ":"))
    return hmac.digest(_key(service_settings().data_dir), content.encode(), "sha256").hex()


@lru_cache(maxsize=8)
def _key(data_dir: Path) -> bytes:
    return read_or_make(data_dir / "keys" / KEY_FILE, lambda: secrets.token_bytes(KEY_BYTES))
