"""Enrolments without the service's own records of them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from gallery import people
from gallery.matching import Gallery
from gallery.models import Template
from gallery.people import EnrollmentRules, Sample
from tenants.models import Tenant


def enroll(
    tenant: Tenant,
    subject_id: str,
    samples: list[Sample],
    gallery: Gallery,
    rules: EnrollmentRules,
    *more: Any,
    **named: Any,
) -> list[Template]:
    """Do as `people.enroll`, in a transaction of its own."""
    gallery.store.refresh(tenant)
    with transaction.atomic():
        return people.enroll(people.lock_subject(tenant, subject_id), samples, gallery, rules, *more, **named).templates
