"""Records of consent: what a subject agreed to, in which version, when and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from database import clock
from gallery.models import Consent
from gallery.people import GalleryError
from tenants.models import Tenant
from vocabulary.errors import ErrorCode

GivenBy = Literal["page", "rest"]


class ConsentRequired(GalleryError):
    code = ErrorCode.CONSENT_REQUIRED


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """`text` and `version` name the words that were agreed to. `given_by`: on the page, or told by a backend."""

    text: str
    version: str
    given_by: GivenBy

    @classmethod
    def from_json(cls, stored: Any) -> GivenConsent | None:
        return None if stored is None else cls(**stored)

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def check_consent(tenant: Tenant, subject_id: str, consent: GivenConsent | None) -> None:
    """Raises ConsentRequired when the tenant needs a consent, and neither this one nor one in force is there."""
    if tenant.consent_required and consent is None and not _in_force(tenant, subject_id):
        raise ConsentRequired("the tenant enrols nobody without a record of consent: send consent")


def end_consents(tenant: Tenant, subject_id: str) -> int:
    """Mark every consent in force as withdrawn, in the caller's transaction; returns their number."""
    found = Consent.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id, withdrawn_at=None)
    return found.update(withdrawn_at=clock.now())


def _in_force(tenant: Tenant, subject_id: str) -> bool:
    found = Consent.objects.filter(subject__tenant=tenant, subject__subject_id=subject_id, withdrawn_at=None)
    return found.exists()
