"""The job that enrols people from pictures in the tenant's import folder."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gallery.models import Renewal
from gallery.names import CONSENT_NAME, MAX_CONSENT_NAME
from gallery.records.consents import GivenConsent
from jobs.kinds import Kind, Payload
from jobs.run import Again, Result, Run
from recognition.background.imports.people import SubjectFrom
from recognition.background.imports.places import check_relative
from tenants.scopes import Scope
from vocabulary.faces import FaceChoice
from vocabulary.jobs import JobType


def _relative(source: str) -> str:
    return check_relative(source).as_posix()


Name = Annotated[str, Field(min_length=1, max_length=MAX_CONSENT_NAME, pattern=CONSENT_NAME)]


class Consent(Payload):
    """`text` and `version` name the words that were agreed to."""

    text: Name
    version: Name

    @property
    def given(self) -> GivenConsent:
        return GivenConsent(self.text, self.version, "rest")


class BulkEnroll(Payload):
    """`source`: a folder, a .zip or a .csv, by its path below the tenant's import folder.

    `replace`: a person's new templates take the place of all the person has. `allow_different_face`: with `replace`,
    the new face need not match those. `face`: which pictures with several faces are taken. `consent`: what everybody in
    the import has agreed to.
    """

    source: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_relative)]
    subject_from: SubjectFrom = SubjectFrom.AUTO
    replace: bool = False
    allow_different_face: bool = False
    face: FaceChoice | None = None
    consent: Consent | None = None

    @property
    def renewal(self) -> Renewal:
        if not self.replace:
            return Renewal.NONE
        return Renewal.UNCHECKED if self.allow_different_face else Renewal.REPLACE

    @model_validator(mode="after")
    def _other_faces_replace(self) -> BulkEnroll:
        if self.allow_different_face and not self.replace:
            raise ValueError("allow_different_face needs replace")
        return self


def bulk_enroll(run: Run, asked: BulkEnroll) -> Result | Again:
    from recognition.background.imports.work import carry_on  # It loads what only a worker needs.

    return carry_on(run, asked)


KINDS = [
    Kind(
        JobType.BULK_ENROLL,
        "Enrols people from a folder, a zip file or a list of pictures.",
        BulkEnroll,
        bulk_enroll,
        "cpu",
        Scope.SUBJECTS,
    )
]
