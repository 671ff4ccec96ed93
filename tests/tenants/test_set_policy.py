"""manage.py set_policy"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from core.liveness.policy import Policy
from tenants.keys import create_tenant

DEFAULT = {
    "tenant": "acme",
    "liveness": "passive",
    "minimum": "none",
    "steps": None,
    "actions": None,
    "covered_faces": False,
    "adaptive_templates": False,
    "consent_required": False,
    "unseen_days": None,
    "picture_days": 0,
}


@pytest.fixture(autouse=True)
def _tenants(transactional_db: None) -> None:
    create_tenant("acme")
    create_tenant("rival")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("set_policy", *arguments, stdout=out)
    return out.getvalue()


def in_force(tenant: str = "acme") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(tenant, "--json"))
    return told


def test_the_policies_are_declared_from_the_weakest_to_the_strongest() -> None:
    strengths = [policy.strength for policy in (Policy.NONE, Policy.PASSIVE, Policy.ACTIVE, Policy.STRICT)]
    assert strengths == sorted(strengths)


def test_a_new_tenant_asks_for_passive_and_refuses_nothing() -> None:
    assert in_force() == DEFAULT


def test_what_is_set_is_printed_and_stays() -> None:
    options = ["--liveness", "active", "--minimum", "passive", "--steps", "2", "--actions", "turn_right, blink"]
    told = json.loads(run("acme", *options, "--json"))
    assert told == in_force()
    assert told == {
        "tenant": "acme",
        "liveness": "active",
        "minimum": "passive",
        "steps": 2,
        "actions": ["blink", "turn_right"],
        "covered_faces": False,
        "adaptive_templates": False,
        "consent_required": False,
        "unseen_days": None,
        "picture_days": 0,
    }
    assert in_force("rival") == {**DEFAULT, "tenant": "rival"}


def test_an_option_leaves_the_others_alone_and_can_be_taken_back() -> None:
    run("acme", "--steps", "3", "--actions", "blink,turn_left,turn_right")
    run("acme", "--liveness", "active")
    assert in_force()["steps"] == 3
    run("acme", "--steps", "default", "--actions", "all")
    assert in_force() == {**DEFAULT, "liveness": "active"}


def test_consent_and_expiry_are_set_recorded_and_taken_back() -> None:
    run("acme", "--consent", "required", "--erase-unseen", "365")
    assert in_force() == {**DEFAULT, "consent_required": True, "unseen_days": 365}
    recorded = AuditEntry.across_tenants.filter(tenant__name="acme", kind="policy_changed")
    assert [(entry.details["consent_required"], entry.details["unseen_days"]) for entry in recorded] == [(True, 365)]
    run("acme", "--consent", "optional", "--erase-unseen", "never")
    assert in_force() == DEFAULT
    run("acme")
    assert recorded.all().count() == 2


def test_keeping_pictures_is_set_recorded_and_taken_back() -> None:
    assert "are kept for 30 days" in run("acme", "--keep-pictures", "30")
    assert in_force() == {**DEFAULT, "picture_days": 30}
    run("acme", "--keep-pictures", "0")
    assert in_force() == DEFAULT
    recorded = AuditEntry.across_tenants.filter(tenant__name="acme", kind="policy_changed").order_by("sequence")
    assert [entry.details["picture_days"] for entry in recorded] == [30, 0]


def test_in_words_it_says_the_policy_in_force() -> None:
    assert run("acme", "--liveness", "active", "--minimum", "active") == (
        "tenant acme\n"
        "liveness active, for sessions that name none\n"
        "minimum active\n"
        "steps as the policy has\n"
        "actions all\n"
        "covered faces refused\n"
        "adaptive templates off\n"
        "consent optional\n"
        "people are erased never\n"
        "aligned pictures of enrolled faces are kept not at all\n"
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--minimum", "active"], "the default policy passive is weaker than the minimum active: change both"),
        (["--liveness", "firm"], "invalid choice: 'firm'"),
        (["--steps", "many"], "'many' is no number of steps: use default, or 1 or more"),
        (["--steps", "0"], "cannot have 0 steps"),
        (["--steps", "3", "--actions", "blink,turn_left"], "3 steps need 3 actions, and blink, turn_left are 2"),
        (["--liveness", "active", "--actions", "blink"], "2 steps need 2 actions"),
        (["--liveness", "active", "--steps", "7"], "7 steps need 7 actions"),
        (["--liveness", "strict", "--actions", "blink,nod"], "3 steps need 3 actions"),
        (["--actions", "blink,jump"], "unknown action 'jump': use all, or some of blink, turn_left"),
        (["--actions", ""], "unknown action ''"),
        (["--erase-unseen", "0"], "'0' is no number of days: use never, or 1 to 3650"),
        (["--keep-pictures", "never"], "'never' is no number of days: use 0 to keep no pictures, or 1 to 3650"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence_and_changes_nothing(options: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("acme", *options)
    assert in_force() == DEFAULT


def test_a_tenant_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CommandError, match=r"there is no tenant 'acne'; there is: acme, rival"):
        run("acne")
