"""Similarities by a running service: `POST /api/v1/faces/compare/`, with every rule that it applies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.verification.accuracy import Pair
from bench.verification.progress import Progress
from testkit import loopback
from testkit.service import LiveService, temporary_service

WORKERS = 2
_AT_ONCE = 4
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Compared:
    """`similarities`: one for each pair, NaN where it was refused. `refusals`: pairs by error code."""

    similarities: list[float]
    refusals: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Answer:
    similarity: float
    refusal: str | None


def compare_all(pairs: Sequence[Pair], folder: Path) -> Compared:
    with temporary_service(workers=WORKERS, pool_size=_AT_ONCE) as service:
        answers = asyncio.run(_compare_all(service, pairs, folder))
    refusals = Counter(answer.refusal for answer in answers if answer.refusal is not None)
    return Compared([answer.similarity for answer in answers], dict(refusals))


async def _compare_all(service: LiveService, pairs: Sequence[Pair], folder: Path) -> list[_Answer]:
    places, progress = asyncio.Semaphore(_AT_ONCE), Progress(len(pairs), "pairs")
    headers = {"Authorization": f"Bearer {service.api_key}"}

    async def in_turn(pair: Pair) -> _Answer:
        async with places:
            answer = await _compare(http, pair, folder)
        progress.step()
        return answer

    async with loopback.client(base_url=service.base_url, headers=headers, timeout=_TIMEOUT_S) as http:
        return await asyncio.gather(*map(in_turn, pairs))


async def _compare(http: httpx.AsyncClient, pair: Pair, folder: Path) -> _Answer:
    """Raises HTTPStatusError for an answer that says nothing of the pictures."""
    files = [("images", (name, (folder / name).read_bytes(), "image/jpeg")) for name in (pair.left, pair.right)]
    response = await http.post("/api/v1/faces/compare/", files=files)
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return _Answer(float("nan"), str(response.json()["error"]["code"]))
    return _Answer(float(response.raise_for_status().json()["similarity"]), None)
