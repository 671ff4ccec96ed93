"""manage.py keys"""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tenants.keys import create_tenant, find_living_key
from tenants.models import ApiKey
from tenants.scopes import Scope
from tests.tenants.support import tenant_of

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.fixture
def tenants(transactional_db: None) -> None:
    create_tenant("acme")
    create_tenant("rival")


def run(*arguments: str, tenant: str = "acme") -> str:
    out = StringIO()
    call_command("keys", *arguments, "--tenant", tenant, stdout=out, stderr=out)
    return out.getvalue()


def run_json(*arguments: str, tenant: str = "acme") -> Any:
    return json.loads(run(*arguments, "--json", tenant=tenant))


def test_a_key_is_issued_and_opens_what_it_was_issued_for() -> None:
    told = run_json("issue", "--name", "door", "--scopes", "sessions,read", "--expires-in", "90d")
    key = find_living_key(told["api_key"])
    assert key is not None
    assert (key.tenant.name, key.name) == ("acme", "door")
    assert key.opens == {Scope.SESSIONS, Scope.READ}
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=5)
    assert told["id"] == str(key.public_id)


@pytest.mark.parametrize("scopes", [["sessions,read"], ["sessions, read"], ["sessions", "read"]])
def test_scopes_are_written_with_commas_or_spaces(scopes: list[str]) -> None:
    assert run_json("issue", "--scopes", *scopes)["scopes"] == ["sessions", "read"]


def test_without_scopes_it_opens_everything_but_the_keys() -> None:
    key = find_living_key(run_json("issue")["api_key"])
    assert key is not None
    assert key.opens == set(Scope) - {Scope.ADMIN}


def test_the_list_shows_every_key_of_the_tenant_and_no_secret() -> None:
    issued = run_json("issue", "--name", "door")
    run("issue", "--name", "window", tenant="rival")
    listed = run_json("list")
    assert [key["name"] for key in listed] == ["default", "door"]
    for told in (run("list"), json.dumps(listed)):
        assert issued["prefix"] in told
        assert issued["api_key"] not in told
        assert "window" not in told


@pytest.mark.parametrize("called", ["id", "prefix", "name"])
def test_a_key_is_revoked_by_what_the_list_shows_of_it(called: str) -> None:
    issued = run_json("issue", "--name", "door")
    run("revoke", issued[called])
    assert tenant_of(issued["api_key"]) is None
    assert [key["name"] for key in run_json("list")] == ["default"]
    (revoked,) = [key for key in run_json("list", "--all") if key["id"] == issued["id"]]
    assert revoked["revoked_at"]
    with pytest.raises(CommandError, match="acme has no key"):
        run("revoke", issued[called])


def test_of_two_keys_with_one_name_neither_is_revoked() -> None:
    keys = [run_json("issue", "--name", "door")["api_key"] for _ in range(2)]
    with pytest.raises(CommandError, match="2 keys are called 'door'"):
        run("revoke", "door")
    assert all(find_living_key(key) for key in keys)


def test_another_tenants_key_is_not_there() -> None:
    other = run_json("issue", tenant="rival")
    for action in ("revoke", "rotate"):
        with pytest.raises(CommandError, match="acme has no key"):
            run(action, other["id"])
    assert find_living_key(other["api_key"])


def test_the_last_admin_key_is_revoked_with_a_warning_and_another_is_issued_here() -> None:
    warned = run("revoke", "default")
    assert "no other key with the scope admin" in warned
    assert "warning" not in run("issue", "--scopes", "admin")
    assert Scope.ADMIN in ApiKey.across_tenants.get(tenant__name="acme", revoked_at=None).opens


@pytest.mark.parametrize(("overlap", "hours"), [([], 24), (["--overlap", "1h"], 1), (["--overlap", "0"], 0)])
def test_a_rotation_lets_the_old_key_live_for_the_overlap(overlap: list[str], hours: int) -> None:
    old = run_json("issue", "--name", "door", "--scopes", "faces")
    new = run_json("rotate", old["id"], *overlap)
    assert (new["name"], new["scopes"]) == ("door", ["faces"])
    assert find_living_key(new["api_key"])
    assert (find_living_key(old["api_key"]) is not None) is (hours > 0)
    end = ApiKey.across_tenants.get(public_id=old["id"]).expires_at
    assert end is not None
    assert abs(end - timezone.now() - timedelta(hours=hours)) < timedelta(minutes=5)
    with pytest.raises(CommandError, match="replaced already"):
        run("rotate", old["id"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["issue", "--scopes", "sessions,everything"], "use some of sessions,subjects,faces,read,admin"),
        (["issue", "--scopes", ""], "use some of"),
        (["issue", "--expires-in", "soon"], "for example 30m, 24h or 90d"),
        (["issue", "--expires-in", "0"], "in the past"),
        (["issue", "--name", "a\nb"], "printable"),
        (["rotate", "default", "--overlap", "-1"], "expected one argument|for example"),
        (["revoke", ""], "has no key"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence_and_changes_nothing(arguments: list[str], complaint: str) -> None:
    before = run_json("list")
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)
    assert run_json("list") == before


def test_a_tenant_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CommandError, match=r"there is no tenant 'acne'; there is: acme, rival"):
        run("list", tenant="acne")


def test_in_words_the_key_is_shown_once() -> None:
    words = run("issue", "--name", "door")
    key = next(line for line in words.splitlines() if line.startswith("API key ")).removeprefix("API key ")
    assert tenant_of(key) is not None
    assert "not shown again" in words
