from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.storage import storages
from django.template import engines
from django.utils.functional import empty

from demo.modules import page_modules
from face_app.asgi import application
from web import static_files
from web.static_files import make_static_files


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    served: Any = application  # httpx has types of its own for ASGI.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://localhost") as client:
        yield client


def links(page: httpx.Response) -> list[str]:
    """Paths of everything that the page loads."""
    found = re.findall(r'<(?:link|script)[^>]* (?:href|src)="([^"]+)"', page.text)
    return [str(page.url.join(link).path) for link in found if not link.startswith("data:")]


@pytest.mark.parametrize("path", ["/", "/api/docs"])
async def test_what_a_page_loads_is_compressed_and_kept_for_ever(client: httpx.AsyncClient, path: str) -> None:
    loaded = links(await client.get(path))
    assert len(loaded) >= 3
    for link in loaded:
        assert re.fullmatch(r"/static/[\w/-]+\.[0-9a-f]{12}\.(js|css)", link)
        answer = await client.get(link, headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        plain = await client.get(link, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content


@pytest.mark.parametrize("path", ["/", "/api/docs"])
async def test_every_link_of_a_page_works_under_a_prefix_that_only_a_proxy_knows(
    client: httpx.AsyncClient, path: str
) -> None:
    found = re.findall(r'(?:href|src|action)="([^"]+)"', (await client.get(path)).text)
    assert len(found) >= 3
    assert [link for link in found if re.match(r"/|https?:", link)] == []


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/openapi.json", "/api/asyncapi.json"])
async def test_pages_and_documents_are_compressed(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == (await client.get(path, headers={"accept-encoding": "identity"})).text


async def test_what_may_carry_a_secret_is_not_compressed(client: httpx.AsyncClient) -> None:
    """Its length would tell a listener what a caller's words have in common with the secret."""
    for path in ("/api/v1/sessions/" + "x" * 300, "/demo/sessions/", "/" + "y" * 300):
        answer = await client.get(path, headers={"accept-encoding": "gzip"})
        assert answer.status_code >= 400
        assert "content-encoding" not in answer.headers


async def test_every_module_is_preloaded_under_the_name_by_which_it_is_imported(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    preloaded = {
        str(page.url.join(link).path) for link in re.findall(r'<link rel="modulepreload" href="([^"]+)"', page.text)
    }
    imported = {str(page.url.join(link).path) for link in re.findall(r'<script type="module" src="([^"]+)"', page.text)}
    for link in preloaded:
        text = (await client.get(link)).text
        imported |= {str(httpx.URL(link).join(name)) for name in re.findall(r'from "([^"]+)"', text)}
    assert preloaded == imported
    assert len(preloaded) == len(page_modules()) >= 4


async def test_a_file_is_also_found_by_its_own_name(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/demo/style.css")
    assert answer.status_code == 200
    assert "immutable" not in answer.headers["cache-control"]


def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Django make its storage of static files anew at the next use, and restore it after the test."""
    monkeypatch.setattr(storages, "_storages", {})
    monkeypatch.setattr(staticfiles_storage, "_wrapped", empty)


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a service that has none yet makes its sets of files."""
    monkeypatch.setattr(settings, "FACE", settings.FACE.model_copy(update={"run_dir": tmp_path / "run"}))
    as_in_a_new_process(monkeypatch)
    return tmp_path / "run" / "static"


def rendered() -> str:
    return engines["django"].from_string("{% load static %}{% static 'demo/style.css' %}").render()


def test_files_that_an_interrupted_start_left_are_made_anew(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_static_files()
    [made] = sets.iterdir()
    broken = made / rendered().removeprefix("static/")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:10])
    (made / "staticfiles.json").unlink()
    as_in_a_new_process(monkeypatch)
    make_static_files()
    assert broken.read_bytes() == whole


def test_one_older_set_is_kept_for_workers_that_are_being_replaced(sets: Path) -> None:
    for age, name in enumerate(("old", "older", "oldest"), 1):
        (sets / name).mkdir(parents=True)
        os.utime(sets / name, (0, 1_000_000 - age))
    make_static_files()
    new = Path(staticfiles_storage.path("")).name
    assert {path.name for path in sets.iterdir()} == {"old", new}


def test_a_set_that_was_made_before_its_disk_became_read_only_is_used(
    sets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    make_static_files()
    made = rendered()
    as_in_a_new_process(monkeypatch)
    monkeypatch.setattr(static_files, "exclusive", refuse)
    make_static_files()
    assert rendered() == made != "static/demo/style.css"
    assert caplog.records == []


def test_what_a_full_disk_cut_off_takes_no_room(
    sets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save = static_files.HashedFiles._save

    def save_until_the_disk_is_full(files: static_files.HashedFiles, name: str, content: Any) -> Any:
        if name.endswith("style.css"):
            raise OSError(errno.ENOSPC, "No space left on device", files.path(name))
        return save(files, name, content)

    monkeypatch.setattr(static_files.HashedFiles, "_save", save_until_the_disk_is_full)
    make_static_files()
    assert list(sets.iterdir()) == []
    assert rendered() == "static/demo/style.css"
    assert "No space left on device" in caplog.text


def test_where_nothing_can_be_written_files_are_served_as_they_are(
    sets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sets.parent.write_text("not a directory")
    make_static_files()
    assert rendered() == "static/demo/style.css"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
