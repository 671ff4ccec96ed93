"""manage.py set_policy TENANT [--liveness P] [--minimum P] [--steps N] [--actions A,B] [--covered-faces yes|no]
[--adaptive-templates yes|no] [--consent required|optional] [--erase-unseen DAYS]
[--keep-pictures DAYS]"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core.liveness.policy import Policy
from tenants.liveness_policy import (
    InvalidPolicy,
    TenantPolicy,
    parse_actions,
    parse_picture_days,
    parse_steps,
    parse_unseen,
    policy_of,
    set_policy,
)
from tenants.models import Tenant
from tenants.names import TenantNotFound, find_tenant
from vocabulary.faces import Action


class Command(BaseCommand):
    help = "Sets what a tenant's sessions ask of people, and prints the policy in force; without options only that."

    def add_arguments(self, parser: CommandParser) -> None:
        policies = [policy.value for policy in Policy]
        parser.add_argument("tenant", help="its name")
        parser.add_argument("--liveness", choices=policies, help="the policy of sessions that name none")
        parser.add_argument("--minimum", choices=policies, help="sessions that ask for less are refused")
        parser.add_argument("--steps", metavar="N", help="steps of a challenge, or default: as the policy has")
        parser.add_argument(
            "--actions", metavar="A,B", help=f"what a challenge may ask: all (movements), or {','.join(Action)}"
        )
        parser.add_argument(
            "--covered-faces", choices=["yes", "no"], help="whether people in masks may be recognised; never enrolled"
        )
        parser.add_argument(
            "--adaptive-templates",
            choices=["yes", "no"],
            help="whether a sure and live recognition may become a template, so that an ageing face is followed",
        )
        parser.add_argument(
            "--consent", choices=["required", "optional"], help="whether nobody is enrolled without a record of consent"
        )
        parser.add_argument(
            "--erase-unseen", metavar="DAYS", help="days after the last success until a person is erased, or never"
        )
        parser.add_argument(
            "--keep-pictures",
            metavar="DAYS",
            help="days for which aligned pictures of enrolled faces are kept, encrypted, so that manage.py reembed can "
            "move the gallery to another embedder; 0: none are",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print {tenant, liveness, minimum, steps, actions, covered_faces, adaptive_templates, "
            "consent_required, unseen_days, picture_days}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                tenant = Tenant.objects.select_for_update(no_key=True).get(pk=find_tenant(options["tenant"]).pk)
                before = policy_of(tenant)
                policy = _changed(before, options)
                if policy != before:
                    set_policy(tenant, policy)
        except (TenantNotFound, InvalidPolicy) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_as_json(tenant, policy) if options["json"] else _in_words(tenant, policy))


def _changed(policy: TenantPolicy, options: dict[str, Any]) -> TenantPolicy:
    if options["liveness"] is not None:
        policy = replace(policy, liveness=Policy(options["liveness"]))
    if options["minimum"] is not None:
        policy = replace(policy, minimum=Policy(options["minimum"]))
    if options["steps"] is not None:
        policy = replace(policy, steps=parse_steps(str(options["steps"])))
    if options["actions"] is not None:
        policy = replace(policy, actions=parse_actions(options["actions"]))
    if options["covered_faces"] is not None:
        policy = replace(policy, covered_faces=options["covered_faces"] == "yes")
    if options["adaptive_templates"] is not None:
        policy = replace(policy, adaptive_templates=options["adaptive_templates"] == "yes")
    if options["consent"] is not None:
        policy = replace(policy, consent_required=options["consent"] == "required")
    if options["erase_unseen"] is not None:
        policy = replace(policy, unseen_days=parse_unseen(str(options["erase_unseen"])))
    if options["keep_pictures"] is not None:
        policy = replace(policy, picture_days=parse_picture_days(str(options["keep_pictures"])))
    return policy


def _as_json(tenant: Tenant, policy: TenantPolicy) -> str:
    told = {"tenant": tenant.name, "liveness": policy.liveness, "minimum": policy.minimum, "steps": policy.steps}
    faces = {"actions": policy.actions, "covered_faces": policy.covered_faces}
    people = {
        "adaptive_templates": policy.adaptive_templates,
        "consent_required": policy.consent_required,
        "unseen_days": policy.unseen_days,
        "picture_days": policy.picture_days,
    }
    return json.dumps({**told, **faces, **people})


def _in_words(tenant: Tenant, policy: TenantPolicy) -> str:
    steps = "as the policy has" if policy.steps is None else policy.steps
    actions = "all" if policy.actions is None else ", ".join(policy.actions)
    unseen = "never" if policy.unseen_days is None else f"after {policy.unseen_days} days without a success"
    pictures = f"for {policy.picture_days} days" if policy.picture_days else "not at all"
    return (
        f"tenant {tenant.name}\n"
        f"liveness {policy.liveness}, for sessions that name none\n"
        f"minimum {policy.minimum}\n"
        f"steps {steps}\n"
        f"actions {actions}\n"
        f"covered faces {'recognised' if policy.covered_faces else 'refused'}\n"
        f"adaptive templates {'on' if policy.adaptive_templates else 'off'}\n"
        f"consent {'required' if policy.consent_required else 'optional'}\n"
        f"people are erased {unseen}\n"
        f"aligned pictures of enrolled faces are kept {pictures}"
    )
