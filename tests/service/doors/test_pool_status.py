"""The pool as an operator sees it while many stream at once."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import LiveService
from testkit.stream_client import play

STREAMS = 12
FRAMES = 15
MAX_ROUNDS = 5
SUMS = ("pool_size", "in_use", "computing", "available", "waiting", "exhausted_total", "timeouts_total")


async def test_the_pool_is_seen_at_work_and_is_whole_afterwards(live_service: LiveService) -> None:
    seen: list[dict[str, Any]] = []
    # What is seen is a sample: on a busy machine a round of streams may be over between two looks.
    for _ in range(MAX_ROUNDS):
        seen += await statuses_during_streams(live_service)
        if any(map(is_at_work, seen)):
            break
    assert any(map(is_at_work, seen))
    for status in seen:
        assert status["computing"] <= status["in_use"] <= status["max_size"] == 4
        assert status["computing"] <= status["compute_threads"]
        assert status["pool_size"] <= status["max_size"]
        frames_wait = status["in_use"] + status["waiting"] > status["computing"]
        assert status["status"] == ("exhausted" if status["available"] == 0 and frames_wait else "ok")
        for field in SUMS:
            assert status[field] == sum(worker[field] for worker in status["workers"])

    after = live_service.get("/api/pool/status/").json()
    assert (after["status"], after["available"], after["in_use"], after["waiting"]) == ("ok", 4, 0, 0)
    assert after["exhausted_total"] > 0
    assert after["wait_ms"]["p99"] >= after["wait_ms"]["p95"] >= after["wait_ms"]["p50"]


def is_at_work(status: dict[str, Any]) -> bool:
    """Six streams at least are on one of the workers, whose pool has two instances."""
    crowded = any(worker["in_use"] == 2 and worker["waiting"] > 0 for worker in status["workers"])
    return crowded and status["computing"] > 0


async def statuses_during_streams(service: LiveService) -> list[dict[str, Any]]:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_load{}/"
    frames = [encode_jpeg(astronaut())] * FRAMES
    streams = [asyncio.create_task(play(address.format(number), frames, linger_s=0.1)) for number in range(STREAMS)]
    seen = []
    async with loopback.client(timeout=PATIENCE_S) as http:
        while not all(stream.done() for stream in streams):
            seen.append((await http.get(f"{service.base_url}/api/pool/status/")).json())
            await asyncio.sleep(0.05)
    results = await asyncio.gather(*streams)
    answered = [message for result in results for message in result.messages if message["type"] == "frame_processed"]
    assert len(answered) == STREAMS * FRAMES
    return seen


def test_the_metrics_agree_with_the_status(live_service: LiveService) -> None:
    status = live_service.get("/api/pool/status/").json()
    families = text_string_to_metric_families(live_service.get("/metrics").text)
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples["face_pool_instances"] == status["pool_size"]
    assert samples["face_pool_max"] == status["max_size"]
    assert samples["face_pool_exhausted_total"] == status["exhausted_total"]
    assert samples["face_workers"] == len(status["workers"])
    assert samples["face_frame_seconds_count"] > 0
