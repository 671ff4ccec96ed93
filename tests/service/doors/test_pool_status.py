"""The pool as an operator sees it while many stream at once."""

from __future__ import annotations

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families

from testkit.clips import astronaut, encode_jpeg
from testkit.service import LiveService
from testkit.stream_client import play

STREAMS = 12
SUMS = ("pool_size", "in_use", "computing", "available", "waiting", "exhausted_total", "timeouts_total")


async def test_the_pool_is_seen_at_work_and_is_whole_afterwards(live_service: LiveService) -> None:
    frame = encode_jpeg(astronaut())
    address = live_service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_load{}/"
    streams = [
        asyncio.create_task(play(address.format(number), [frame] * 15, linger_s=0.1)) for number in range(STREAMS)
    ]
    seen = []
    async with httpx.AsyncClient() as http:
        while not all(stream.done() for stream in streams):
            seen.append((await http.get(f"{live_service.base_url}/api/pool/status/")).json())
            await asyncio.sleep(0.05)
    results = await asyncio.gather(*streams)
    answered = [message for result in results for message in result.messages if message["type"] == "frame_processed"]
    assert len(answered) == STREAMS * 15

    # How the sockets are spread is the workers' affair: six at least are on one of them, whose pool has two instances.
    assert any(worker["in_use"] == 2 and worker["waiting"] > 0 for status in seen for worker in status["workers"])
    assert any(status["computing"] > 0 for status in seen)
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


def test_the_metrics_agree_with_the_status(live_service: LiveService) -> None:
    status = live_service.get("/api/pool/status/").json()
    families = text_string_to_metric_families(live_service.get("/metrics").text)
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples["face_pool_instances"] == status["pool_size"]
    assert samples["face_pool_max"] == status["max_size"]
    assert samples["face_pool_exhausted_total"] == status["exhausted_total"]
    assert samples["face_workers"] == len(status["workers"])
    assert samples["face_frame_seconds_count"] > 0
