"""Feedback: pictures of which it was said that they do not show a subject, and the matches that they exclude.

The rule serves two people. Whoever was taken for the subject is not taken for it again. The subject itself is never
locked out, not even by feedback that is wrong. So feedback wins over a doubtful match only, and by a clear lead; a good
picture of the subject is above both limits. Only the very picture that was judged is excluded whatever its similarity.
docs/faces.md has what was measured.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction
from django.db.models import QuerySet

from core.types import EMBEDDING_LENGTH, Embedding, Embeddings
from database import clock
from gallery.models import Feedback, Subject
from gallery.protection import Protected, TemplateProtection
from gallery.protection.errors import KeysUnavailable, Tampered
from gallery.similarity import similarities
from tenants.models import Tenant

MARGIN = 0.1
"""A match that exceeds the threshold by this much is beyond feedback. A doubtful one is excluded when the probe is more
similar to a rejected picture by this much than to the subject's templates."""
SAME_PICTURE = 0.95
"""Similarity from which the probe is the rejected picture itself, or of the same moment."""
MOST_PER_SUBJECT = 50
"""Rejected pictures kept of a subject and a model, the newest ones."""


PAGE = 1_000

_ON_SUBJECTS = f"""
    SELECT subject.subject_id, feedback.vector
    FROM {Feedback._meta.db_table} feedback JOIN {Subject._meta.db_table} subject ON subject.id = feedback.subject_id
    WHERE feedback.tenant_id = %s AND feedback.model_id = %s AND subject.subject_id IN
"""  # noqa: S608  the names are the models' own
"""Every match makes this query. Django takes several times as long to write it as SQLite to answer it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Origin of a rejected picture: the id of its session, if any, and of the API key that rejected it."""

    session: uuid.UUID | None = None
    key: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rejected pictures (n, dimension), and whom each does not show."""

    vectors: Embeddings
    subjects: Sequence[str]

    def excludes(self, found: Mapping[str, float], probes: Sequence[Embedding], threshold: float) -> frozenset[str]:
        """The subjects of `found`, similarities to the probes by subject, that a rejected picture excludes."""
        if not self.subjects:
            return frozenset()
        nearest = similarities(self.vectors, probes)
        return frozenset(
            subject
            for subject, to_rejected in zip(self.subjects, nearest, strict=True)
            if subject in found and _is_excluded(found[subject], float(to_rejected), threshold)
        )


def _is_excluded(to_subject: float, to_rejected: float, threshold: float) -> bool:
    if to_rejected >= SAME_PICTURE:
        return to_rejected > to_subject
    doubtful = to_subject < threshold + MARGIN
    return doubtful and to_rejected >= max(threshold, to_subject + MARGIN)


def on_subjects(tenant: Tenant, subject_ids: Sequence[str], model_id: str, protection: TemplateProtection) -> Rejected:
    """What was rejected as the subjects. Makes no query when there are none."""
    if not subject_ids:
        return Rejected(np.zeros((0, EMBEDDING_LENGTH), np.float32), [])
    places = ", ".join(["%s"] * len(subject_ids))
    with connection.cursor() as cursor:
        cursor.execute(f"{_ON_SUBJECTS} ({places})", [tenant.pk, model_id, *subject_ids])
        return _read(cursor.fetchall(), tenant, protection)


def everything(tenant: Tenant, model_id: str, protection: TemplateProtection) -> Rejected:
    rows = Feedback.objects.filter(tenant=tenant, model_id=model_id).order_by("pk")
    return _read(list(rows.values_list("subject__subject_id", "vector")), tenant, protection)


def _read(rows: Sequence[tuple[str, bytes | memoryview]], tenant: Tenant, protection: TemplateProtection) -> Rejected:
    if not rows:
        return Rejected(np.zeros((0, EMBEDDING_LENGTH), np.float32), [])
    subjects, stored = zip(*rows, strict=True)
    return Rejected(protection.restore([Protected(bytes(vector)) for vector in stored], tenant), subjects)


def reject(
    tenant: Tenant,
    subject: Subject,
    probe: Embedding,
    model_id: str,
    protection: TemplateProtection,
    source: Source,
) -> int:
    """Keep a picture as not showing the subject. Returns how many are kept of it. The caller has locked the subject."""
    with transaction.atomic():
        (vector,) = protection.protect([probe], tenant)
        Feedback.objects.create(
            tenant=tenant,
            subject=subject,
            model_id=model_id,
            vector=vector,
            session=source.session,
            key=source.key,
            created_at=clock.in_query(),
        )
        kept = Feedback.objects.filter(subject=subject, model_id=model_id).order_by("-pk").values_list("pk", flat=True)
        Feedback.objects.filter(subject=subject, pk__in=list(kept[MOST_PER_SUBJECT:])).delete()
        return kept.count()


def take_back(
    tenant: Tenant,
    subject: Subject,
    probe: Embedding,
    model_id: str,
    protection: TemplateProtection,
    threshold: float,
) -> int:
    """Forget what was rejected as the subject and shows the probe's face. Returns how many are left."""
    own = Feedback.objects.filter(subject=subject, model_id=model_id)
    for page in _pages(own):
        _forget_alike(page, [probe], tenant, protection, threshold)
    return own.count()


def forget_face(
    tenant: Tenant, templates: Embeddings, model_id: str, protection: TemplateProtection, threshold: float
) -> int:
    """Forget the rejected pictures that show the templates' face, whomever they were taken for.

    Returns how many could not be compared, because nobody can read them now.
    """
    unread = 0
    for page in _pages(Feedback.objects.filter(tenant=tenant, model_id=model_id)) if len(templates) else ():
        try:
            _forget_alike(page, list(templates), tenant, protection, threshold)
        except (KeysUnavailable, Tampered):
            unread += sum(not _is_compared(row, list(templates), tenant, protection, threshold) for row in page)
    return unread


_Row = tuple[int, bytes | memoryview]
"""Primary key and stored vector."""


def _pages(rows: QuerySet[Feedback]) -> Iterator[list[_Row]]:
    keys = list(rows.values_list("pk", flat=True))
    for begin in range(0, len(keys), PAGE):
        yield list(rows.filter(pk__in=keys[begin : begin + PAGE]).values_list("pk", "vector"))


def _is_compared(
    row: _Row, probes: Sequence[Embedding], tenant: Tenant, protection: TemplateProtection, threshold: float
) -> bool:
    """Do as `_forget_alike` with one row; whether it could be read."""
    try:
        _forget_alike([row], probes, tenant, protection, threshold)
    except (KeysUnavailable, Tampered):
        return False
    return True


def _forget_alike(
    page: list[_Row], probes: Sequence[Embedding], tenant: Tenant, protection: TemplateProtection, threshold: float
) -> None:
    vectors = protection.restore([Protected(bytes(vector)) for _, vector in page], tenant)
    alike = similarities(vectors, probes) >= threshold
    forgotten = [key for (key, _), is_it in zip(page, alike, strict=True) if is_it]
    Feedback.objects.filter(tenant=tenant, pk__in=forgotten).delete()
