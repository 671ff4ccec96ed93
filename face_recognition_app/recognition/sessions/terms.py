"""Terms of a session: the tenant's policy and the request combined into a challenge that the client knows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from core.liveness.actions import NEWEST_VERSION, known_by
from core.liveness.challenge import Challenge
from core.liveness.policy import REQUIREMENTS, Policy
from recognition.sessions.refusals import ChallengeImpossible, PolicyTooWeak
from tenants.liveness_policy import TenantPolicy, policy_of
from tenants.models import Tenant
from vocabulary.faces import Action
from wire.errors import ChallengeUnsupported


@dataclass(frozen=True, slots=True)
class LivenessRequest:
    """Liveness that a backend asks for. `liveness` None means the tenant's; `avoid` is what this person cannot do."""

    liveness: Policy | None = None
    avoid: frozenset[Action] = frozenset()
    challenge_version: int = NEWEST_VERSION


@dataclass(frozen=True, slots=True)
class ChallengeTerms:
    """`steps` None means the policy's own number. `allowed` is empty when the session has no challenge."""

    liveness: Policy
    steps: int | None
    allowed: frozenset[Action]


def resolve_terms(tenant: Tenant, liveness_request: LivenessRequest) -> ChallengeTerms:
    """Raises PolicyTooWeak or ChallengeImpossible."""
    policy = policy_of(tenant)
    liveness = policy.liveness if liveness_request.liveness is None else liveness_request.liveness
    if liveness.strength < policy.minimum.strength:
        raise PolicyTooWeak(
            f"liveness {liveness} is less than this tenant allows: ask for {policy.minimum} or stronger",
            {"minimum": policy.minimum.value},
        )
    if not REQUIREMENTS[liveness].steps:
        return ChallengeTerms(liveness, None, frozenset())
    allowed = _allowed(policy, liveness_request, liveness)
    steps = REQUIREMENTS[liveness].steps if policy.steps is None else policy.steps
    if len(allowed) < steps:
        raise _impossible(policy, steps, allowed)
    return ChallengeTerms(liveness, policy.steps, frozenset(allowed))


def _allowed(policy: TenantPolicy, liveness_request: LivenessRequest, liveness: Policy) -> list[Action]:
    default = [action for action in Action if action in REQUIREMENTS[liveness].actions]
    tenants_own = default if policy.actions is None else policy.actions
    return [
        action
        for action in tenants_own
        if action in known_by(liveness_request.challenge_version) - liveness_request.avoid
    ]


def _impossible(policy: TenantPolicy, steps: int, allowed: list[Action]) -> ChallengeImpossible:
    missing = [action.value for action in Action if action not in allowed]
    remaining = [action.value for action in allowed]
    ways_out = [
        "avoid fewer actions",
        f"use a client of challenge_version {NEWEST_VERSION}",
        "let manage.py set_policy allow more actions or fewer steps",
    ]
    if not REQUIREMENTS[policy.minimum].steps:
        ways_out.append("ask for liveness passive")
    return ChallengeImpossible(
        f"a challenge of {steps} steps needs {steps} actions, and {', '.join(remaining) or 'none'} would remain: "
        f"{steps - len(allowed)} more of {', '.join(missing)} needed; {', or '.join(ways_out)}",
        {"steps": steps, "remaining": remaining, "needed": missing},
    )


def new_challenge_id(version: int = NEWEST_VERSION) -> str:
    """Id made of the version and a nonce that no other challenge has."""
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
