"""manage.py jobs import asks for an import and watches it."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from jobs.management.actions import importing
from jobs.models import Job
from jobs.workers.execution import execute
from tenants.models import Tenant
from tests.recognition.background.imports.support import done, lay, templates
from tests.recognition.support import Faces


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("jobs", "import", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def people(imports: Path, faces: Faces) -> Path:
    lay(imports / "people", alice=faces.astronaut, nobody=faces.nobody)
    return imports / "people"


def test_it_asks_for_the_job_in_its_own_name(tenant: Tenant, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = told("people", "--tenant", "acme", "--consent", "terms@2", "--replace", "--subject-from", "stem")
    job = Job.objects.get(tenant=tenant)
    assert text == f"job {job.public_id}\n"
    assert job.payload == {
        "source": "people",
        "subject_from": "stem",
        "replace": True,
        "consent": {"text": "terms", "version": "2"},
    }
    assert (job.priority, job.actor["kind"], job.actor["reference"]) == ("low", "command", "jobs import")


def test_a_path_may_be_named_from_anywhere(tenant: Tenant, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(str(people), "--tenant", "acme")
    monkeypatch.chdir(people.parent)
    told("./people", "--tenant", "acme")
    assert set(Job.objects.filter(tenant=tenant).values_list("payload__source", flat=True)) == {"people"}


@pytest.mark.parametrize("path", ["/etc", "nothing", "../globex", "."])
def test_a_path_that_is_not_in_the_folder_is_told(tenant: Tenant, people: Path, path: str) -> None:
    (people.parent.parent / "globex").mkdir()
    with pytest.raises(CommandError, match=r"is not in .*/acme: put it there|a path below"):
        told(path, "--tenant", "acme")
    assert not Job.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("consent", ["terms", "@1", "terms@two words"])
def test_a_consent_that_is_none_is_told(tenant: Tenant, people: Path, consent: str) -> None:
    with pytest.raises(CommandError, match="consent"):
        told("people", "--tenant", "acme", "--consent", consent)


def test_an_unknown_tenant_is_told(tenant: Tenant, people: Path) -> None:
    with pytest.raises(CommandError, match="there is no tenant 'nobody'"):
        told("people", "--tenant", "nobody")


def test_watching_ends_with_the_result(tenant: Tenant, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "pause", lambda: done(Job.objects.get(tenant=tenant)))
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    text = told("people", "--tenant", "acme", "--watch")
    assert json.loads(text.splitlines()[1])["enrolled"] == 1
    assert templates(tenant) == {"alice": 1}
    assert re.search(r"\[#{40}\] 2/2 pictures, \d+/s", terminal.getvalue())


def test_watching_an_import_that_fails_fails(tenant: Tenant, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        (people / "alice.jpg").unlink(missing_ok=True)
        (people / "nobody.jpg").unlink(missing_ok=True)
        people.rmdir()
        execute(Job.objects.get(tenant=tenant).pk)

    monkeypatch.setattr(importing, "pause", fail)
    with pytest.raises(CommandError, match="the import is failed: people is not in the tenant's import folder"):
        told("people", "--tenant", "acme", "--watch")


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True
