"""Devices on which a subject has succeeded. Failures on other devices cannot lock the subject out on these."""

from __future__ import annotations

import unicodedata

from database import clock
from gallery.models import Subject
from recognition.models import KnownDevice
from tenants.models import Tenant

DEVICES_PER_SUBJECT = 10
"""Beyond this the least recently used is forgotten. Bounded because each known device has attempts of its own."""


def device_key(device_id: str) -> str:
    """Normal form of a device's id: case, Unicode composition and surrounding blanks do not matter."""
    folded = unicodedata.normalize("NFC", device_id.strip()).casefold()
    return unicodedata.normalize("NFC", folded)


def is_known(tenant: Tenant, subject_id: str, device: str) -> bool:
    """Whether the subject has succeeded on the device; without `subject_id`, whether any subject has."""
    if not device:
        return False
    known = KnownDevice.objects.filter(subject__tenant=tenant, device=device)
    return (known.filter(subject__subject_id=subject_id) if subject_id else known).exists()


def devices_of(tenant: Tenant, subject_id: str) -> list[str]:
    known = KnownDevice.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id)
    return list(known.order_by("device").values_list("device", flat=True))


def remember(tenant: Tenant, subject_id: str, device: str) -> None:
    """Record that the subject succeeded on the device now. The caller has locked the subject."""
    if not device:
        return
    subject = Subject.objects.get(tenant=tenant, subject_id=subject_id)
    KnownDevice.objects.update_or_create(subject=subject, device=device, defaults={"used_at": clock.now()})
    newest = KnownDevice.objects.filter(subject=subject).order_by("-used_at", "-pk")
    forgotten = list(newest.values_list("pk", flat=True)[DEVICES_PER_SUBJECT:])
    KnownDevice.objects.filter(subject=subject, pk__in=forgotten).delete()
