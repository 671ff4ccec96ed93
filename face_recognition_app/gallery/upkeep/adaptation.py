"""Adaptive templates: a face that grows older is followed, if the tenant's policy says so.

The enrolled templates alone decide what may follow them. However many adaptive templates came before, none is further
from the enrolled face than the first may be: no chain of small steps leads to another person. An adaptive template is
replaced by a later one, an enrolled template never.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.types import Embedding
from gallery import binding
from gallery.matching import Gallery
from gallery.models import Template, TemplateOrigin
from gallery.people import EnrollmentRules, Sample, find_subject, store_templates
from gallery.protection import Protected
from gallery.similarity import similarities
from gallery.thresholds import threshold_for
from gallery.upkeep.selection import NEARLY_THE_SAME
from tenants.models import Tenant

STRICTER = 100
"""The probe must match the enrolled templates at a rate of false matches this many times lower than a success needs."""
MOST_ADAPTIVE = 2
"""Adaptive templates of a subject."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """`template`: public id of a new adaptive template. `replaced`: number of older adaptive ones that it replaced."""

    template: UUID
    replaced: int


def adapt(
    tenant: Tenant, subject_id: str, probe: Embedding, gallery: Gallery, rules: EnrollmentRules
) -> Adapted | None:
    """Make the probe of a live, successful recognition a template, if it may be and adds something.

    Runs in the caller's transaction, which has locked the subject. Returns what was stored; None when nothing was.
    Raises GalleryMoved.
    """
    if not tenant.adaptive_templates or not _may_follow(tenant, subject_id, probe, gallery, rules):
        return None
    tenant.lock()
    binding.check_again(tenant, gallery.model)  # No move can come in between any more.
    if gallery.duplicates(tenant, subject_id, [probe], rules.target_fpir).candidates:
        return None
    subject = find_subject(tenant, subject_id)
    (stored,) = store_templates(tenant, subject, [Sample(probe, None)], gallery, TemplateOrigin.ADAPTIVE)
    adaptive = Template.objects.filter(subject=subject, origin=TemplateOrigin.ADAPTIVE).order_by("-pk")
    oldest = list(adaptive.values_list("pk", flat=True)[MOST_ADAPTIVE:])
    Template.objects.filter(subject=subject, pk__in=oldest).delete()
    return Adapted(stored.public_id, len(oldest))


def _may_follow(tenant: Tenant, subject_id: str, probe: Embedding, gallery: Gallery, rules: EnrollmentRules) -> bool:
    own = Template.objects.filter(
        subject__tenant=tenant, subject__subject_id=subject_id, model_id=gallery.model_id
    ).values_list("origin", "vector")
    enrolled = [Protected(bytes(vector)) for origin, vector in own if origin != TemplateOrigin.ADAPTIVE]
    if not enrolled:
        return False
    strict = threshold_for(rules.target_fmr / STRICTER, len(enrolled), gallery.profile)
    to_enrolled = float(similarities(gallery.protection.restore(enrolled, tenant), [probe]).max())
    nearest = float(similarities(gallery.store.of_subject(tenant, subject_id), [probe]).max())
    return to_enrolled >= strict and nearest < NEARLY_THE_SAME
