"""Identification by a running service: enrolments, then searches through REST, with every rule that it applies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from bench.lfw import person_of
from bench.verification.progress import Progress
from gallery.rates.identification_rates import Rate
from testkit import loopback
from testkit.service import LiveService, temporary_service

WORKERS = 2
STRANGERS = 6
"""Every sixth person is not enrolled."""
_AT_ONCE = 4
_TIMEOUT_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Searched:
    """`refused`: number of people whose first picture was refused; they are left out. A refused probe finds nobody."""

    enrolled: int
    refused: int
    fpir: Rate
    fnir: Rate


def search_all(names: Sequence[str], folder: Path) -> Searched:
    with temporary_service(workers=WORKERS, pool_size=_AT_ONCE) as service:
        return asyncio.run(_search_all(service, names, folder))


async def _search_all(service: LiveService, names: Sequence[str], folder: Path) -> Searched:
    people = sorted({person_of(name) for name in names})
    strangers = frozenset(people[::STRANGERS])
    first = {person_of(name): name for name in reversed(names)}
    headers = {"Authorization": f"Bearer {service.api_key}"}
    async with loopback.client(base_url=service.base_url, headers=headers, timeout=_TIMEOUT_S) as http:

        async def enrol(person: str) -> bool:
            files = [("images", _file(folder / first[person]))]
            answer = await http.post(f"/api/v1/subjects/{person}/templates/", files=files)
            if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY or answer.status_code == httpx.codes.CONFLICT:
                return False
            return bool(answer.raise_for_status().json()["accepted"])

        async def best(name: str) -> str | None:
            answer = await http.post("/api/v1/faces/search/", files=[("image", _file(folder / name))])
            if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                return None
            matches = answer.raise_for_status().json()["matches"]
            return str(matches[0]["subject_id"]) if matches else None

        wanted = [person for person in people if person not in strangers]
        accepted = await _in_turn(enrol, wanted, "enrolments")
        enrolled = {person for person, is_enrolled in zip(wanted, accepted, strict=True) if is_enrolled}
        mated = [name for name in names if person_of(name) in enrolled and first[person_of(name)] != name]
        others = [name for name in names if person_of(name) in strangers]
        found = await _in_turn(best, mated + others, "searches")
    missed = sum(one != person_of(name) for name, one in zip(mated, found, strict=False))
    false = sum(one is not None for one in found[len(mated) :])
    return Searched(len(enrolled), len(wanted) - len(enrolled), Rate(false, len(others)), Rate(missed, len(mated)))


async def _in_turn(call: Callable[[str], Awaitable[T]], names: Sequence[str], what: str) -> list[T]:
    places, progress = asyncio.Semaphore(_AT_ONCE), Progress(len(names), what)

    async def one(name: str) -> T:
        async with places:
            result = await call(name)
        progress.step()
        return result

    return await asyncio.gather(*map(one, names))


def _file(path: Path) -> tuple[str, bytes, str]:
    return path.name, path.read_bytes(), "image/jpeg"
