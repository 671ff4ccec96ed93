"""manage.py create_tenant"""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tenants.models import Tenant
from tests.tenants.support import tenant_of

pytestmark = pytest.mark.usefixtures("transactional_db")


def create_tenant(*arguments: str) -> str:
    out = StringIO()
    call_command("create_tenant", *arguments, stdout=out)
    return out.getvalue()


def test_with_json_it_prints_the_name_and_a_key_that_works() -> None:
    told = json.loads(create_tenant("acme", "--json"))
    assert told.keys() == {"tenant", "api_key"}
    assert told["tenant"] == "acme"
    assert tenant_of(told["api_key"]) == Tenant.objects.get(name="acme")


def test_in_words_it_prints_the_key_and_that_it_is_not_shown_again() -> None:
    words = create_tenant("acme")
    key = next(line for line in words.splitlines() if line.startswith("API key ")).removeprefix("API key ")
    assert tenant_of(key) == Tenant.objects.get(name="acme")
    assert "not shown again" in words


@pytest.mark.parametrize(("name", "complaint"), [("Acme", "use 1 to 63"), ("acme", "already")])
def test_a_name_that_cannot_be_is_refused_in_one_sentence(name: str, complaint: str) -> None:
    create_tenant("acme")
    with pytest.raises(CommandError, match=complaint):
        create_tenant(name, "--json")
