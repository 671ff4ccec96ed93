"""The templates of one tenant and model in the database, in the form that an index holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from core.types import Embeddings
from gallery.models import Subject, Template
from gallery.protection import Protected, TemplateProtection
from gallery.stores.row_file import Identity, Page
from tenants.models import Tenant

PAGE = 1_000
"""Templates read by one query: 2 MB of them."""

_PAGE = f"""
    SELECT template.id, subject.subject_id, template.vector
    FROM {Template._meta.db_table} template
    INNER JOIN {Subject._meta.db_table} subject ON subject.id = template.subject_id
    WHERE template.tenant_id = %s AND template.model_id = %s AND {{}} ORDER BY template.id LIMIT %s
"""  # noqa: S608  the names are the models' own
"""Each enrolment is followed by this query, so Django does not write it anew."""


@dataclass(frozen=True, slots=True)
class Source:
    tenant: Tenant
    model_id: str
    protection: TemplateProtection

    @property
    def identity(self) -> Identity:
        return Identity(int(self.tenant.created_at.timestamp() * 1_000_000), self.model_id)

    @property
    def epoch(self) -> int:
        return self.protection.epoch(self.tenant)

    def knows(self, epoch: int) -> bool:
        return self.protection.knows(self.tenant, epoch)

    def turned(self, probes: Embeddings, epoch: int) -> Embeddings:
        return self.protection.turn(probes, self.tenant, epoch)

    def count(self) -> int:
        return self._templates().count()

    def everything(self, epoch: int) -> Iterator[Page]:
        """All templates, page by page in the order of their ids, turned with the secret of `epoch`."""
        last = 0
        while page := self._page("template.id > %s", [last], epoch):
            yield page
            last = int(page.pks[-1])

    def some(self, pks: Sequence[int], epoch: int) -> Iterator[Page]:
        """The templates with these ids that still exist."""
        for begin in range(0, len(pks), PAGE):
            asked = pks[begin : begin + PAGE]
            if page := self._page(f"template.id IN ({', '.join(['%s'] * len(asked))})", asked, epoch):
                yield page

    def of_subject(self, subject_id: str) -> Embeddings:
        """The subject's templates, not turned."""
        own = Template.objects.filter(
            subject__tenant=self.tenant, subject__subject_id=subject_id, model_id=self.model_id
        )
        stored = [Protected(bytes(vector)) for vector in own.values_list("vector", flat=True)]
        return self.protection.restore(stored, self.tenant)

    def _page(self, which: str, values: Sequence[int], epoch: int) -> Page | None:
        with connection.cursor() as cursor:
            cursor.execute(_PAGE.format(which), [self.tenant.pk, self.model_id, *values, PAGE])
            found = cursor.fetchall()
        if not found:
            return None
        pks, subjects, stored = zip(*found, strict=True)
        kept = [Protected(bytes(one)) for one in stored]
        return Page.of(pks, subjects, self.protection.restore_turned(kept, self.tenant, epoch))

    def _templates(self) -> QuerySet[Template]:
        return Template.objects.filter(tenant=self.tenant, model_id=self.model_id)
