"""Every store, each where it can be: what all promise is tested once for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from gallery.stores.pgvector.schema import prepare_database
from tenants.models import Tenant
from testkit.databases import using_postgresql
from tests.gallery.stores.places import EACH, Place


@pytest.fixture(params=EACH, ids=str)
def place(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Place]:
    """A store on a database; see also `places.everywhere` and `places.of_files`."""
    found: Place = request.param
    if found.database == "sqlite":
        yield found
        return
    with using_postgresql(request.getfixturevalue("postgresql_url")):
        if found.store == "pgvector":
            with tables_of_pgvector():
                yield found
        else:
            yield found


@contextmanager
def tables_of_pgvector() -> Iterator[None]:
    prepare_database()
    yield
    with connection.cursor() as cursor:  # Django empties its own tables only, and none that another refers to.
        cursor.execute("DROP TABLE gallery_vector, gallery_projection")
        cursor.execute("DROP FUNCTION gallery_count_templates, gallery_count_moved, gallery_count_vectors CASCADE")


@pytest.fixture
def store_name(place: Place) -> str:
    return place.store


@pytest.fixture
def tenant(place: Place, tenant: Tenant) -> Tenant:
    return tenant


@pytest.fixture
def other_tenant(place: Place, other_tenant: Tenant) -> Tenant:
    return other_tenant
