"""The pictures of one person on their way through the engine, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gallery.models import ImportedPicture, Template, TemplateOrigin
from gallery.people import MAX_TEMPLATES, Sample
from recognition.background.imports.people import File, Person
from recognition.background.imports.report import Fate, Row
from tenants.models import Tenant
from vocabulary.errors import ErrorCode
from vocabulary.sessions import Reason

TOO_MANY = f"a person has at most {MAX_TEMPLATES} templates"


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a person. `files`: SHA-256 of the pictures that an import has enrolled. `enrolled`: templates,
    adaptive ones aside."""

    files: frozenset[bytes] = frozenset()
    enrolled: int = 0


NOBODY = Known()


@dataclass(frozen=True, slots=True)
class Good:
    """A picture that is to be enrolled."""

    file: File
    sha256: bytes
    sample: Sample


@dataclass(slots=True)
class Pending:
    """A person whose pictures are analysed. `waiting`: what the engine is to answer for, by the answer's key."""

    person: Person
    known: Known
    replace: bool
    rows: dict[str, Row] = field(default_factory=dict)
    waiting: dict[int, tuple[File, bytes]] = field(default_factory=dict)
    found: dict[str, Good] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not self.waiting

    def reject(self, file: File, reason: str, detail: str = "") -> None:
        self.rows[file.name] = Row(file.name, self.person.subject_id, Fate.REJECTED, reason, detail)

    def already_there(self, file: File) -> None:
        self.rows[file.name] = Row(file.name, self.person.subject_id, Fate.ALREADY_THERE)

    def enrolled(self, file: File) -> None:
        self.rows[file.name] = Row(file.name, self.person.subject_id, Fate.ENROLLED)

    def refuse(self, good: Sequence[Good], reason: str, detail: str) -> None:
        for one in good:
            self.reject(one.file, reason, detail)

    def good(self, same_person: float) -> list[Good]:
        """What is to be enrolled, in the order of the files: pictures of the face that the first one shows, and no more
        than there is room for."""
        in_order = [self.found[file.name] for file in self.person.files if file.name in self.found]
        room = MAX_TEMPLATES - (0 if self.replace else self.known.enrolled)
        kept: list[Good] = []
        for one in in_order:
            if kept and float(kept[0].sample.embedding @ one.sample.embedding) < same_person:
                self.reject(one.file, Reason.FACE_CHANGED, "it shows another face than the person's first picture")
            elif len(kept) >= room:
                self.reject(one.file, ErrorCode.TOO_MANY_TEMPLATES, TOO_MANY)
            else:
                kept.append(one)
        return kept

    def report(self) -> list[Row]:
        return [self.rows[file.name] for file in self.person.files]


def known_of(tenant: Tenant, people: Sequence[Person]) -> Mapping[str, Known]:
    """What is kept of those of the people who are enrolled, by their ids."""
    ids = [person.subject_id for person in people]
    templates = Template.objects.filter(subject__tenant=tenant, subject__subject_id__in=ids)
    enrolled: dict[str, int] = {}
    for subject_id in templates.exclude(origin=TemplateOrigin.ADAPTIVE).values_list("subject__subject_id", flat=True):
        enrolled[subject_id] = enrolled.get(subject_id, 0) + 1
    files: dict[str, set[bytes]] = {}
    imported = ImportedPicture.objects.filter(subject__tenant=tenant, subject__subject_id__in=ids)
    for subject_id, sha256 in imported.values_list("subject__subject_id", "sha256"):
        files.setdefault(subject_id, set()).add(bytes(sha256))
    return {subject_id: Known(frozenset(files.get(subject_id, ())), number) for subject_id, number in enrolled.items()}
