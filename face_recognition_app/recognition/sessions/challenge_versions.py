"""Which challenges a client can show to its person: it says which version of them it knows."""

from __future__ import annotations

import secrets

from core.liveness.actions import NEWEST_VERSION, known_by
from core.liveness.challenge import Challenge
from wire.errors import ChallengeUnsupported


def new_id(version: int = NEWEST_VERSION) -> str:
    """The version, and a nonce that no other challenge has."""
    return f"v{version}.{secrets.token_hex(8)}"


def check_client(version: int, challenge: Challenge) -> None:
    """Raises ChallengeUnsupported when a client cannot show what a challenge asks for."""
    unknown = [action for action in challenge.actions if action not in known_by(version)]
    if version < _version_of(challenge.id) and unknown:
        raise ChallengeUnsupported(
            f"the session asks for {', '.join(unknown)}, which a client of challenge version {version} cannot show"
        )


def _version_of(challenge_id: str) -> int:
    return int(challenge_id.partition(".")[0].removeprefix("v"))
