"""manage.py set_policy TENANT [--liveness P] [--minimum P] [--steps N] [--actions A,B] [--covered-faces yes|no]
[--adaptive-templates yes|no]"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core.liveness.policy import Policy
from tenants.liveness_policy import InvalidPolicy, TenantPolicy, parse_actions, parse_steps, policy_of, set_policy
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
            "--json",
            action="store_true",
            help="print {tenant, liveness, minimum, steps, actions, covered_faces, adaptive_templates}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                tenant = Tenant.objects.select_for_update(no_key=True).get(pk=find_tenant(options["tenant"]).pk)
                policy = _changed(policy_of(tenant), options)
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
    return policy


def _as_json(tenant: Tenant, policy: TenantPolicy) -> str:
    told = {"tenant": tenant.name, "liveness": policy.liveness, "minimum": policy.minimum, "steps": policy.steps}
    faces = {"covered_faces": policy.covered_faces, "adaptive_templates": policy.adaptive_templates}
    return json.dumps({**told, "actions": policy.actions, **faces})


def _in_words(tenant: Tenant, policy: TenantPolicy) -> str:
    steps = "as the policy has" if policy.steps is None else policy.steps
    actions = "all" if policy.actions is None else ", ".join(policy.actions)
    return (
        f"tenant {tenant.name}\n"
        f"liveness {policy.liveness}, for sessions that name none\n"
        f"minimum {policy.minimum}\n"
        f"steps {steps}\n"
        f"actions {actions}\n"
        f"covered faces {'recognised' if policy.covered_faces else 'refused'}\n"
        f"adaptive templates {'on' if policy.adaptive_templates else 'off'}"
    )
