"""Makes galleries of random people with their indexes, for a process of its own."""

from __future__ import annotations

from collections.abc import Mapping

from bench.gallery.faces import TEMPLATES_OF_EACH, Crowd
from bench.gallery.work import tenant_with


def filled(templates: Mapping[str, int]) -> dict[str, str]:
    """Make the tenants that are missing, with so many templates; returns an API key of each."""
    import django

    django.setup()
    from config.service import service_settings
    from recognition.deciding import Deciding
    from tenants.keys import issue_key
    from tenants.models import Tenant
    from tenants.scopes import Scope

    gallery = Deciding.load(service_settings()).gallery
    keys = {}
    for seed, (name, number) in enumerate(templates.items()):
        tenant = Tenant.objects.filter(name=name).first()
        if tenant is None:
            people = [f"p{row // TEMPLATES_OF_EACH}" for row in range(number)]
            tenant = tenant_with(name, people, Crowd.of(number, seed).templates, gallery.model_id)
            gallery.store.rebuild(tenant, lambda done, total: None)
        keys[name] = issue_key(tenant, "bench", Scope).text
    return keys
