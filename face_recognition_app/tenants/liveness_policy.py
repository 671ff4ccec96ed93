"""What a tenant's sessions ask of people."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from audit.chain import Detail, Event, record
from core.liveness.policy import REQUIREMENTS, Policy
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.faces import Action

LONGEST_DAYS = 3_650
_COLUMNS = (
    "liveness",
    "liveness_minimum",
    "challenge_steps",
    "challenge_actions",
    "covered_faces",
    "adaptive_templates",
    "consent_required",
    "unseen_days",
    "picture_days",
)


class InvalidPolicy(Exception):
    """A policy under which no session could begin; the message names the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """A tenant's rules. `liveness` is the policy of sessions that name none. `steps` and `actions` are None for the
    policy's own, which exclude light. `covered_faces`: whether a face with a mask may be recognised; never enrolled.
    `adaptive_templates`: whether a sure and live recognition may become a template. `consent_required`: whether nobody
    is enrolled without a record of consent. `unseen_days`: days from a subject's last success or enrolment to its
    erasure; None for never. `picture_days`: days for which aligned pictures of enrolled faces are kept, 0 for none."""

    liveness: Policy
    minimum: Policy
    steps: int | None
    actions: tuple[Action, ...] | None
    covered_faces: bool = False
    adaptive_templates: bool = False
    consent_required: bool = False
    unseen_days: int | None = None
    picture_days: int = 0

    def check(self) -> None:
        """Raises InvalidPolicy when no session could begin under the policy."""
        if self.liveness.strength < self.minimum.strength:
            raise InvalidPolicy(
                f"the default policy {self.liveness} is weaker than the minimum {self.minimum}: change both together"
            )
        if self.covered_faces and self.adaptive_templates:
            raise InvalidPolicy("a covered face must not become a template: choose covered faces or adaptive templates")
        if self.steps is not None and self.steps < 1:
            raise InvalidPolicy(f"a challenge cannot have {self.steps} steps: use 1 or more")
        possible = self._fewest_actions if self.actions is None else self.actions
        needed = REQUIREMENTS[self.liveness].steps if self.steps is None else self.steps
        if len(possible) < needed:
            raise InvalidPolicy(
                f"{needed} steps need {needed} actions, and {', '.join(possible)} are {len(possible)}: "
                "allow more actions or ask for fewer steps"
            )

    @property
    def _fewest_actions(self) -> tuple[Action, ...]:
        """The fewest actions that a challenge can draw from, over all policies that a session may name."""
        sets = [
            REQUIREMENTS[p].actions for p in Policy if REQUIREMENTS[p].steps and p.strength >= self.minimum.strength
        ]
        fewest = min(sets, key=len)
        return tuple(action for action in Action if action in fewest)


def policy_of(tenant: Tenant) -> TenantPolicy:
    stored = tenant.challenge_actions
    return TenantPolicy(
        liveness=Policy(tenant.liveness),
        minimum=Policy(tenant.liveness_minimum),
        steps=tenant.challenge_steps,
        actions=None if stored is None else tuple(Action(name) for name in stored),
        covered_faces=tenant.covered_faces,
        adaptive_templates=tenant.adaptive_templates,
        consent_required=tenant.consent_required,
        unseen_days=tenant.unseen_days,
        picture_days=tenant.picture_days,
    )


def set_policy(tenant: Tenant, policy: TenantPolicy) -> None:
    """Set the policy from the next session on, and record what it is. Raises InvalidPolicy; then nothing changes."""
    policy.check()
    tenant.liveness = policy.liveness.value
    tenant.liveness_minimum = policy.minimum.value
    tenant.challenge_steps = policy.steps
    tenant.challenge_actions = None if policy.actions is None else [action.value for action in policy.actions]
    tenant.covered_faces = policy.covered_faces
    tenant.adaptive_templates = policy.adaptive_templates
    tenant.consent_required = policy.consent_required
    tenant.unseen_days = policy.unseen_days
    tenant.picture_days = policy.picture_days
    with transaction.atomic():
        tenant.save(update_fields=_COLUMNS)
        record(tenant.pk, Event(AuditKind.POLICY_CHANGED, None, _told(policy)))


def _told(policy: TenantPolicy) -> dict[str, Detail]:
    return {
        "liveness": str(policy.liveness),
        "minimum": str(policy.minimum),
        "steps": policy.steps,
        "actions": None if policy.actions is None else [str(action) for action in policy.actions],
        "covered_faces": policy.covered_faces,
        "adaptive_templates": policy.adaptive_templates,
        "consent_required": policy.consent_required,
        "unseen_days": policy.unseen_days,
        "picture_days": policy.picture_days,
    }


def parse_actions(text: str) -> tuple[Action, ...] | None:
    """Parse `all`, or names with commas. Raises InvalidPolicy."""
    if text == "all":
        return None
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in set(Action)]
    if unknown:
        raise InvalidPolicy(f"unknown action {unknown[0]!r}: use all, or some of {', '.join(Action)}")
    return tuple(action for action in Action if action in names)


def parse_steps(text: str) -> int | None:
    """Parse `default`, or a number. Raises InvalidPolicy."""
    if text == "default":
        return None
    if not text.isdecimal():
        raise InvalidPolicy(f"{text!r} is no number of steps: use default, or 1 or more")
    return int(text)


def parse_unseen(text: str) -> int | None:
    """Parse `never`, or a number of days. Raises InvalidPolicy."""
    if text == "never":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_DAYS:
        raise InvalidPolicy(f"{text!r} is no number of days: use never, or 1 to {LONGEST_DAYS}")
    return int(text)


def parse_picture_days(text: str) -> int:
    """Parse a number of days; 0 keeps no pictures. Raises InvalidPolicy."""
    if not text.isdecimal() or int(text) > LONGEST_DAYS:
        raise InvalidPolicy(f"{text!r} is no number of days: use 0 to keep no pictures, or 1 to {LONGEST_DAYS}")
    return int(text)
