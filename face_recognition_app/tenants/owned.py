"""Rows that belong to a tenant, and the manager that gives them only through it."""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models import sql
from django.db.models.expressions import Col
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.lookups import Lookup
from django.db.models.sql.where import AND, NothingNode, WhereNode

M = TypeVar("M", bound=models.Model, covariant=True)

_TENANT = "tenants.Tenant"


class TenantRequired(Exception):
    """A query of rows that belong to tenants names none. A defect of the caller."""


class OwnedQuery(sql.Query):
    """A query whose conditions name one tenant, or rows that belong to one: `tenant=...`, `subject__tenant=...`,
    `subject=...`. Checked when it is compiled, as itself or as a part of another query."""

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        self.check_tenant()
        return super().get_compiler(*args, **kwargs)

    def check_tenant(self) -> None:
        """Raises TenantRequired."""
        if not _is_bound(self.where):
            assert self.model is not None
            name = self.model.__name__
            raise TenantRequired(f"{name}.objects needs a condition on the tenant; see also {name}.across_tenants")


class OwnedQuerySet(models.QuerySet[M]):
    """Rows of one tenant. Django gives changes and deletions another query, so these check it themselves."""

    def update(self, **changes: Any) -> int:
        self._check()
        return super().update(**changes)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._check()
        return super().delete()

    def _check(self) -> None:
        query = self.query
        assert isinstance(query, OwnedQuery)
        query.check_tenant()


class OwnedManager(models.Manager[M]):
    def get_queryset(self) -> OwnedQuerySet[M]:
        return OwnedQuerySet(self.model, OwnedQuery(self.model), self._db)


class TenantOwned(models.Model):
    """A row that belongs to a tenant, by a field `tenant` or by a field of another such row.

    `across_tenants` is for housekeeping, for statistics, and for secrets that say themselves whose they are.
    """

    objects: ClassVar[OwnedManager[Self]] = OwnedManager()
    across_tenants: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True


def _is_bound(condition: Any) -> bool:
    """Whether a condition holds only for rows of one tenant, or for none."""
    if isinstance(condition, WhereNode):
        if condition.negated or condition.connector != AND:
            return False
        return any(_is_bound(child) for child in condition.children)
    if isinstance(condition, NothingNode):
        return True
    return isinstance(condition, RelatedExact | RelatedIn) and _names_owner(condition)


def _names_owner(lookup: Lookup[Any]) -> bool:
    """Whether a field is compared with one given tenant, or with given rows that belong to a tenant.

    A value that the database computes is no given one: every row's tenant is the tenant of its subject.
    """
    if not isinstance(lookup.lhs, Col) or hasattr(lookup.rhs, "as_sql"):
        return False
    owner = lookup.lhs.target.related_model
    if not isinstance(owner, type):
        return False
    return issubclass(owner, TenantOwned) or (owner._meta.label == _TENANT and isinstance(lookup, RelatedExact))
